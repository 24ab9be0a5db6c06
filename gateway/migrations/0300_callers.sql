-- Tokens that were given out, by their hashes; what they stand for, as JSON.
CREATE TABLE caller_tokens (
    token_hash TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- What counts once only (answered challenges, DPoP proofs, assertions of clients), by its hash, as long as it would count.
CREATE TABLE caller_uses (
    use_hash TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
