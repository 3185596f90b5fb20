def build_model(hidden):
    return hiden
