//! Attributes that turn one trait into a dispatcher, a typed client and metadata.
