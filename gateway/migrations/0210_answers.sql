-- Under which key this state's contents are: another key would find nothing in it.
CREATE TABLE state_key (
    one BIGINT PRIMARY KEY,
    proof TEXT NOT NULL
);

-- Requests that are carried out once: by their Idempotency-Key, or as a job. There is no answer while one is under way.
CREATE TABLE answers (
    id TEXT PRIMARY KEY,
    member TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    attempt TEXT NOT NULL,
    answer BYTEA,
    under_way_until BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX answers_end ON answers (expires_at);
