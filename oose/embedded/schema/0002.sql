CREATE INDEX purchases_by_hash ON purchases (hash);
