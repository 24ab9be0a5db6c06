-- Which patient an organisation's own record number stands for: the number is hashed under the state's key, to find it, and sealed, to
-- show it.
CREATE TABLE patient_index (
    identifier TEXT PRIMARY KEY,
    patient TEXT NOT NULL,
    sealed BYTEA NOT NULL
);
CREATE INDEX patient_index_of_patient ON patient_index (patient);
