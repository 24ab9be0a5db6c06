//! HTTP in: who calls, what is asked, and how each failure is answered.

pub mod listener;
