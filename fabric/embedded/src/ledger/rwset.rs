//! Read-write sets: built during simulation with exactly the bytes that Fabric's peers make, and decoded at commit.
