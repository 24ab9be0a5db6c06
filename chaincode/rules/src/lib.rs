//! Who may do what with an access link: pure decisions on plain values.
