//! What the examples on blocking sockets can be told of compression, if the feature `deflate` is there.

use clap::Args;
use sockless::{Config, DeflateConfig};

#[derive(Args)]
pub(crate) struct DeflateOptions {
    /// Compress messages where the peer can too
    #[arg(long)]
    deflate: bool,
    /// Let messages refer to earlier ones, in both directions
    #[arg(long, requires = "deflate")]
    takeover: bool,
    /// How far back messages may refer, in both directions: 2 to the power of this, 8 to 15
    #[arg(long, requires = "deflate", value_name = "BITS", default_value_t = 15)]
    window_bits: u8,
}

impl DeflateOptions {
    /// Clones of the configuration share what compresses.
    pub(crate) fn add_to(&self, config: Config) -> Config {
        if !self.deflate {
            return config;
        }
        let mut deflate = DeflateConfig::new()
            .server_max_window_bits(self.window_bits)
            .client_max_window_bits(self.window_bits);
        if self.takeover {
            deflate = deflate.server_context_takeover().client_context_takeover();
        }
        config.deflate(deflate)
    }
}
