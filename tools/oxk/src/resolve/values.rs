//! Values of options.

use std::collections::BTreeMap;

use super::{Reason, Resolver, error};
use crate::diagnostic::{Result, did_you_mean};
use crate::manifest::{Setting, SettingValue};
use crate::option::{OptionSpec, Value};

impl Resolver<'_> {
    /// The value of every option of the members: the default, or what the manifest says.
    pub(super) fn values(
        &self,
        members: &BTreeMap<String, Reason>,
    ) -> Result<BTreeMap<(String, String), Value>> {
        let mut values = BTreeMap::new();
        for library in members.keys().filter_map(|m| self.pool.get(m)) {
            for option in &library.options {
                values.insert((library.name.clone(), option.name.clone()), option.default.clone());
            }
        }
        for setting in &self.manifest.settings {
            let library = self.known_library(&setting.library)?;
            if !members.contains_key(&library.name) {
                let cause = format!("`{}` is not part of this image", library.name);
                return Err(error(self.manifest, cause, &setting.library.span).help(format!(
                    "remove the option, or add libraries = [\"{}\"]",
                    library.name
                )));
            }
            let (option, value) = self.option_value(setting)?;
            values.insert((library.name.clone(), option.name.clone()), value);
        }
        Ok(values)
    }

    /// The option that is set, and its value.
    pub(super) fn option_value(&self, setting: &Setting) -> Result<(&OptionSpec, Value)> {
        let library = self.known_library(&setting.library)?;
        let Some(option) = library.option(&setting.option.value) else {
            let known: Vec<&str> = library.options.iter().map(|o| o.name.as_str()).collect();
            let help = match did_you_mean(&setting.option.value, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => format!("`{}` has no options", library.name),
                None => format!("its options: {}", known.join(", ")),
            };
            let cause = format!("`{}` has no option `{}`", library.name, setting.option.value);
            return Err(error(self.manifest, cause, &setting.option.span).help(help));
        };
        let value = match &setting.value {
            SettingValue::Toml(value) => option.kind.from_toml(value),
            SettingValue::Text(text) => option.kind.parse(text),
        };
        let Some(value) = value else {
            let (given, span) = match &setting.value {
                SettingValue::Toml(v) => (v.to_string().trim().to_owned(), v.span()),
                SettingValue::Text(text) => (text.clone(), None),
            };
            let cause =
                format!("{given} is not a value for {}.{}", library.name, setting.option.value);
            return Err(error(self.manifest, cause, &span)
                .help(format!("it takes {} (default {})", option.kind, option.default)));
        };
        Ok((option, value))
    }
}
