use healthchain_rules::Settings;

use super::{Load, key};

/// The channel's settings; none are as good as the defaults.
pub(crate) fn load_settings() -> Load<Settings> {
    Load::at(key::settings())
}
