//! `oxk menu`: a terminal interface to all options of an application.
//!
//! [`edit`] changes the text of a manifest, [`model`] knows what there is to choose, [`view`]
//! draws; this file reads keys.

mod edit;
mod model;
mod view;

use std::io::IsTerminal;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::diagnostic::{Context, Diagnostic, Result};
use crate::project::Target;

use model::{Mode, Model};

/// Shows and changes all options of an application, with help for each
///
/// Saving writes what differs from the defaults into oxk.toml and keeps everything else in it,
/// comments included.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  oxk menu apps/hello\n  oxk menu apps/hello --list")]
pub struct MenuArgs {
    /// The application and what it is built for
    #[command(flatten)]
    pub target: Target,
    /// Print the options instead, one a line
    #[arg(long)]
    pub list: bool,
    /// Print the options as JSON: a list of {"section", "name", "value", "default", "takes", "help"}
    #[arg(long)]
    pub json: bool,
}

/// The verb.
pub fn run(args: &MenuArgs) -> Result<u8> {
    let loaded = args.target.load()?;
    let source = loaded.manifest.source.clone();
    let mut model =
        Model::new(source, &loaded.manifest.dir, &loaded.pool, args.target.choices.plat.clone())?;
    if args.json {
        println!("{}", model.json());
        return Ok(0);
    }
    if args.list {
        print!("{}", model.list());
        return Ok(0);
    }
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Diagnostic::new("the menu needs a terminal").help(
            "use --list or --json to print the options, and --set or oxk.toml to change them",
        ));
    }
    // `ratatui::init` also restores the terminal when the program panics.
    let mut terminal = ratatui::init();
    let result = interact(&mut terminal, &mut model);
    ratatui::restore();
    result.map(|()| 0)
}

fn interact(terminal: &mut ratatui::DefaultTerminal, model: &mut Model<'_>) -> Result<()> {
    loop {
        terminal.draw(|frame| view::draw(frame, model)).context("cannot draw")?;
        if let Event::Key(key) = event::read().context("cannot read keys")?
            && key.kind == KeyEventKind::Press
            && !handle(model, key)?
        {
            return Ok(());
        }
    }
}

/// Does what a key asks for; returns whether to go on.
fn handle(model: &mut Model<'_>, key: KeyEvent) -> Result<bool> {
    if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
        return Ok(false);
    }
    match model.mode() {
        Mode::Browse => return browse(model, key.code),
        Mode::Search => match key.code {
            KeyCode::Enter | KeyCode::Down => model.end_search(),
            KeyCode::Esc => model.cancel_search(),
            KeyCode::Backspace => model.search_erase(),
            KeyCode::Char(c) => model.search_type(c),
            _ => {}
        },
        Mode::Edit => match key.code {
            KeyCode::Enter => model.finish_edit(),
            KeyCode::Esc => model.cancel_edit(),
            KeyCode::Backspace => model.edit_erase(),
            KeyCode::Char(c) => model.edit_type(c),
            _ => {}
        },
        Mode::Help => model.set_mode(Mode::Browse),
        Mode::Leave => match key.code {
            KeyCode::Char('y') | KeyCode::Char('s') => {
                model.save()?;
                return Ok(false);
            }
            KeyCode::Char('n') => return Ok(false),
            _ => model.set_mode(Mode::Browse),
        },
    }
    Ok(true)
}

fn browse(model: &mut Model<'_>, key: KeyCode) -> Result<bool> {
    match key {
        KeyCode::Up | KeyCode::Char('k') => model.step(-1),
        KeyCode::Down | KeyCode::Char('j') => model.step(1),
        KeyCode::PageUp => model.step(-10),
        KeyCode::PageDown => model.step(10),
        KeyCode::Home => model.step(isize::MIN / 2),
        KeyCode::End => model.step(isize::MAX / 2),
        KeyCode::Enter | KeyCode::Char(' ') | KeyCode::Right => model.activate(),
        KeyCode::Char('d') => model.reset(),
        KeyCode::Char('/') => model.set_mode(Mode::Search),
        KeyCode::Esc => model.cancel_search(),
        KeyCode::Char('?') => model.set_mode(Mode::Help),
        KeyCode::Char('s') => model.save()?,
        KeyCode::Char('q') if model.is_changed() => model.set_mode(Mode::Leave),
        KeyCode::Char('q') => return Ok(false),
        _ => {}
    }
    Ok(true)
}

#[cfg(test)]
#[path = "menu/tests.rs"]
mod tests;
