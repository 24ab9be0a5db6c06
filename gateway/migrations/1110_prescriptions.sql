-- Visits that the prescription monitor has found of months that it has not contributed yet, by keyed hashes.
CREATE TABLE counted_visits (
    measure TEXT NOT NULL,
    period TEXT NOT NULL,
    visit TEXT NOT NULL,
    -- The class of a drug that was prescribed at the visit; empty for the visit itself.
    class TEXT NOT NULL,
    PRIMARY KEY (measure, period, visit, class)
);
-- How far the monitor's pass through the organisation's links is: the last month that it counts, and the last link that it has read.
CREATE TABLE counting_passes (
    measure TEXT PRIMARY KEY,
    through TEXT NOT NULL,
    link TEXT NOT NULL
);
-- Months that need no counting any more.
CREATE TABLE counted_periods (
    measure TEXT NOT NULL,
    period TEXT NOT NULL,
    PRIMARY KEY (measure, period)
);
-- Noisy values that were drawn for a release, so that no second try draws others, and the privacy budget that they spend, in thousandths of ε.
CREATE TABLE drawn_releases (
    measure TEXT NOT NULL,
    release_id TEXT NOT NULL,
    epsilon BIGINT NOT NULL,
    drawn TEXT NOT NULL,
    PRIMARY KEY (measure, release_id)
);
