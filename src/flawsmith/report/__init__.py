"""What people look at: pages of verdicts, pictures, charts and tables in one file that opens offline."""
