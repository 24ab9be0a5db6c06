//! Healthchain's REST gateway.
