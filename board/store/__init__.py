"""The board's database: tables, migrations, transactions. SQLite by default, PostgreSQL by URL."""
