-- Versions of own links whose envelope does not open with the organisation's present key: what lies in the store for them is not known.
CREATE TABLE unreadable_records (
    link TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (link, version)
);
