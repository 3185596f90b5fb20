"""What people look at: the page of a run, its curves, and what Prometheus and Grafana are to show. Light."""
