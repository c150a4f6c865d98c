"""Class files: what the bureau approves, read from TOML, XLSX and CSV, checked, compared, written as JSON."""
