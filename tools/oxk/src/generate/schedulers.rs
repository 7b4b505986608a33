//! The schedulers of an image, as code.

use std::fmt::Write as _;

use super::{config_with, constants};
use crate::pool::Library;
use crate::resolve::{Resolution, Scheduler};

/// Type of the policy of all CPUs; `None` in images without threads.
pub fn policy(resolution: &Resolution<'_>) -> Option<String> {
    let [types @ .., last] = &*types(resolution) else { return None };
    Some(
        types
            .iter()
            .rev()
            .fold(last.clone(), |inner, outer| format!("uksched::Either<{outer}, {inner}>")),
    )
}

/// Binds the schedulers.
pub fn write(resolution: &Resolution<'_>, out: &mut String) {
    let Some(policy) = policy(resolution) else { return };
    let cpus = resolution.manifest.cpus;
    out.push_str("\n// Threads.\n");
    if let [only] = &*resolution.schedulers {
        let value = value(resolution, only);
        let _ = writeln!(out, "uksched::bind!({:?}, {policy}, {value}, {cpus});", only.name());
        return;
    }
    let _ = writeln!(out, "uksched::bind!({policy}, {cpus}, [");
    for scheduler in &resolution.schedulers {
        let mask = scheduler.cpus.iter().fold(0u64, |mask, cpu| mask | 1 << cpu);
        let name = scheduler.name();
        let _ = match &scheduler.library {
            Some(_) => writeln!(
                out,
                "    uksched::Instance::new({name:?}, {mask:#b}, <{} as uksched::Policy>::PREEMPTIVE),",
                policy_type(resolution, scheduler)
            ),
            None => {
                writeln!(out, "    uksched::Instance::run_to_completion({name:?}, {mask:#b}),")
            }
        };
    }
    out.push_str("], [\n");
    let types = types(resolution);
    for cpu in 0..cpus {
        let mut list = resolution.schedulers.iter().enumerate();
        let Some((index, scheduler)) = list.find(|(_, s)| s.cpus.contains(&cpu)) else { continue };
        let policy = policy_type(resolution, scheduler);
        let at = types.iter().position(|t| *t == policy).unwrap_or(0);
        // The last type has no second one beside it.
        let inner = match value(resolution, scheduler) {
            value if at + 1 == types.len() => value,
            value => format!("uksched::Either::First({value})"),
        };
        let value = (0..at).fold(inner, |inner, _| format!("uksched::Either::Second({inner})"));
        let _ = writeln!(out, "    {index} => {value},");
    }
    out.push_str("]);\n");
}

/// Calls that start what CPUs run from the beginning.
pub fn runs(resolution: &Resolution<'_>) -> String {
    let mut calls = String::new();
    for scheduler in &resolution.schedulers {
        let Some(function) = &scheduler.run else { continue };
        let name = function.rsplit("::").next().unwrap_or(function);
        for cpu in &scheduler.cpus {
            let _ = writeln!(calls, "        uksched::run_on({cpu}, {name:?}, app::{function});");
        }
    }
    calls
}

/// The types of policies, in the order of their first CPUs.
fn types(resolution: &Resolution<'_>) -> Vec<String> {
    let mut types = Vec::new();
    for scheduler in &resolution.schedulers {
        let policy = policy_type(resolution, scheduler);
        if !types.contains(&policy) {
            types.push(policy);
        }
    }
    types
}

fn library<'a>(resolution: &'a Resolution<'_>, scheduler: &Scheduler) -> Option<&'a Library> {
    scheduler.library.as_ref().and_then(|name| resolution.library(name))
}

fn policy_type(resolution: &Resolution<'_>, scheduler: &Scheduler) -> String {
    match library(resolution, scheduler) {
        None => "uksched::RunToCompletion".to_owned(),
        Some(library) => {
            let policy = library.scheduler.as_deref().unwrap_or("Policy");
            format!("{}::{policy}", library.rust_name())
        }
    }
}

/// The initial value of a policy.
fn value(resolution: &Resolution<'_>, scheduler: &Scheduler) -> String {
    let config = library(resolution, scheduler)
        .filter(|library| constants(library).next().is_some())
        .map(|library| config_with(resolution, library, &scheduler.values));
    format!("{}::new({})", policy_type(resolution, scheduler), config.unwrap_or_default())
}
