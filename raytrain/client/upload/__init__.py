"""What of a job's folder travels to the cluster, and how it is packed."""
