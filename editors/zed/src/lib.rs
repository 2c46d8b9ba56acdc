//! Starts `modstar-lsp`, which must be on the PATH, for the languages that extension.toml names.

use zed_extension_api::{self as zed, LanguageServerId, Result};

struct Modstar;

impl zed::Extension for Modstar {
    fn new() -> Self {
        Modstar
    }

    fn language_server_command(
        &mut self,
        _server: &LanguageServerId,
        worktree: &zed::Worktree,
    ) -> Result<zed::Command> {
        let command = worktree
            .which("modstar-lsp")
            .ok_or("modstar-lsp is not on the PATH: pip install ~/src/modstar")?;
        Ok(zed::Command {
            command,
            args: Vec::new(),
            env: worktree.shell_env(),
        })
    }
}

zed::register_extension!(Modstar);
