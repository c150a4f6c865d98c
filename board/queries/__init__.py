"""What pages and commands ask the database. Each query touches rows of its day, class or box, however many are kept."""
