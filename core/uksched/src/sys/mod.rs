//! All that the scheduler needs from below, in one place: the platform, or with the feature `model`
//! a machine in the model checker.

#[cfg(feature = "model")]
mod model;
#[cfg(feature = "model")]
pub use model::*;

#[cfg(not(feature = "model"))]
mod platform;
#[cfg(not(feature = "model"))]
pub use platform::*;
