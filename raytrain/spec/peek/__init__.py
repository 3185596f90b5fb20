"""What the headers of a job's files tell before anything is read or submitted."""
