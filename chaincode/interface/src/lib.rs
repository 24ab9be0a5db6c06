//! The contracts as callers see them.
