//! Values of options.

use std::collections::BTreeMap;

use super::{Reason, Resolver, error};
use crate::diagnostic::{Result, did_you_mean};
use crate::manifest::{HeapSpec, Setting, SettingValue, Spanned};
use crate::option::{OptionSpec, Value};
use crate::pool::Library;

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
        self.value_of(self.known_library(&setting.library)?, &setting.option, &setting.value)
    }

    /// The values that the manifest gives to a heap's allocator for this heap.
    pub(super) fn heap_options(
        &self,
        heap: &HeapSpec,
        library: &Library,
    ) -> Result<BTreeMap<String, Value>> {
        let mut values = BTreeMap::new();
        for (name, value) in &heap.options {
            let (option, value) = self.value_of(library, name, value)?;
            if option.feature.is_some() || option.runtime {
                let cause = format!(
                    "option `{}` of `{}` is the same for all heaps",
                    option.name, library.name
                );
                return Err(error(self.manifest, cause, &name.span)
                    .help(format!("set it under [options.{}]", library.name)));
            }
            values.insert(option.name.clone(), value);
        }
        Ok(values)
    }

    fn value_of<'l>(
        &self,
        library: &'l Library,
        name: &Spanned<String>,
        value: &SettingValue,
    ) -> Result<(&'l OptionSpec, Value)> {
        let Some(option) = library.option(&name.value) else {
            let known: Vec<&str> = library.options.iter().map(|o| o.name.as_str()).collect();
            let help = match did_you_mean(&name.value, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => format!("`{}` has no options", library.name),
                None => format!("its options: {}", known.join(", ")),
            };
            let cause = format!("`{}` has no option `{}`", library.name, name.value);
            return Err(error(self.manifest, cause, &name.span).help(help));
        };
        let checked = match value {
            SettingValue::Toml(value) => option.kind.from_toml(value),
            SettingValue::Text(text) => option.kind.parse(text),
        };
        let Some(checked) = checked else {
            let (given, span) = match value {
                SettingValue::Toml(v) => (v.to_string().trim().to_owned(), v.span()),
                SettingValue::Text(text) => (text.clone(), None),
            };
            let cause = format!("{given} is not a value for {}.{}", library.name, name.value);
            return Err(error(self.manifest, cause, &span)
                .help(format!("it takes {} (default {})", option.kind, option.default)));
        };
        Ok((option, checked))
    }
}
