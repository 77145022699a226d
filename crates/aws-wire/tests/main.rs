//! The gateway as clients see it: over a socket, signed as SDKs sign.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop where they meet what they did not expect")]

mod answers;
mod dispatch;
mod front;
mod http2;
mod identity;
mod lifetime;
mod limits;
mod signatures;
mod support;
