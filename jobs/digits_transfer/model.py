"""A new head on a trained network: is the handwritten digit even or odd?"""

import keras


def build_model(base: keras.Model) -> keras.Model:
    """Maps an image, (batch, 64) standardised pixels, to the probability that its digit is odd, (batch, 1).

    Args:
        base: a trained digits model, which `init_from` names in job.yaml. Its last layer, the ten digits, is left out.
    """
    for layer in base.layers:
        layer.trainable = False
    features = base.layers[-2].output  # (batch, hidden)
    odd = keras.layers.Dense(1, activation="sigmoid", name="odd")(features)
    return keras.Model(base.inputs, odd)
