//! Running an image: as a process, or under QEMU.

pub mod asking;
pub mod console;
mod ending;

use std::fs::File;
use std::io::{IsTerminal as _, Read, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use signal_hook::iterator::Signals;

use crate::build::{self, Image, Progress};
use crate::diagnostic::{Context, Diagnostic, Result, relative_to_cwd};
use crate::disk::Disk;
use crate::guests::{detach, process::Process};
use crate::net::passt::{self, Passt};
use crate::net::{self, Card, Kind};
use crate::option::{format_size, parse_size};
use crate::pool::Machine;
use crate::project::{Project, Target};
use crate::resolve::Resolution;
use crate::share::{Plan, Share};
use crate::symbolize::ReportFilter;
use crate::{qemu, tender};

use console::Console;
use ending::Ending;
pub use ending::GRACE;

/// Exit code of `oxk run` when the image could not be built or started.
pub const EXIT_NOT_STARTED: u8 = 125;
/// Exit code of `oxk run` when the image was stopped after `--timeout`.
pub const EXIT_TIMEOUT: u8 = 124;
/// Exit code of `oxk run` when the machine ended and the image said nothing about why.
pub const EXIT_UNKNOWN: u8 = 123;

/// Builds and runs an application; ends with its exit code
///
/// The exit code is the application's own. 101 is a panic, 102 a fault, 103 a failed boot;
/// 123 says that the machine ended without a word, 124 that --timeout was over, 125 that the
/// image could not be built or started.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  oxk run apps/hello\n  oxk run apps/hello --plat kvm --memory 16M -- Ada\n  oxk run apps/hello --param uklog.level=debug --param ukboot.trace=yes"
)]
pub struct RunArgs {
    /// The application and what it is built for
    #[command(flatten)]
    pub target: Target,
    /// Memory: of the machine (hvt, kvm), for the heaps (linuxu)
    #[arg(long, short, value_name = "SIZE")]
    pub memory: Option<String>,
    /// A parameter on the image's command line; nothing is rebuilt
    #[arg(long, short, value_name = "LIB.OPTION=VALUE")]
    pub param: Vec<String>,
    /// Initial ram disk, from which the tree of files is made
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,
    /// File that the image has as a disk, blk0 and so on; with ",ro" it can only read it; with
    /// ",mount=/PATH" it has the ext2, ext3 or ext4 on it in its tree of files
    #[arg(long, value_name = "FILE[,ro][,mount=/PATH]")]
    pub disk: Vec<Disk>,
    /// Directory that the image has in its tree of files; with ",ro" it can only read it
    #[arg(long, value_name = "DIR:/PATH[,ro]")]
    pub share: Vec<Share>,
    /// Network card: user[,tcp=8080:80][,udp=53], tap=NAME or socket=PATH; with ",mac=ADDRESS"
    #[arg(long, value_name = "KIND", value_parser = net::parse)]
    pub net: Vec<Card>,
    /// Where the console is: our own input and output, nowhere, or a file for what it prints, without
    /// input
    #[arg(long, value_name = "stdio|none|FILE", default_value = "stdio", hide_default_value = true, value_parser = console::parse, conflicts_with = "detach")]
    pub console: Console,
    /// QEMU machine model (kvm)
    #[arg(long, value_enum, default_value_t)]
    pub vmm_machine: qemu::Model,
    /// How QEMU executes the guest (kvm): auto takes KVM on real hardware only
    #[arg(long, value_enum, default_value_t)]
    pub accel: qemu::Accel,
    /// Further argument for QEMU (kvm); can be given several times
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub qemu_arg: Vec<String>,
    /// The same addresses at every start, those in the debug information (hvt)
    #[arg(long)]
    pub fixed_addresses: bool,
    /// Wait for gdb on this port [1234] before the first instruction (hvt, kvm; linuxu with gdbserver)
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "1234")]
    pub gdb: Option<u16>,
    /// Stop the image after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<f64>,
    /// Run it in the background: `oxk ps` lists it, `oxk logs` prints what it says
    #[arg(long, short, conflicts_with = "timeout")]
    pub detach: bool,
    /// What it is called in the background, instead of like the application
    #[arg(long, requires = "detach")]
    pub name: Option<String>,
    /// Print the command that starts the image instead of running it
    #[arg(long)]
    pub dry_run: bool,
    /// Folder for the image instead of `build`
    #[arg(long, value_name = "DIR")]
    pub build_dir: Option<PathBuf>,
    /// Say nothing but what the image says
    #[arg(long, short)]
    pub quiet: bool,
    /// Arguments of the application
    #[arg(last = true)]
    pub args: Vec<String>,
}

/// Reads a length of time.
pub fn seconds(text: &str) -> std::result::Result<f64, String> {
    let value = text.parse().ok().filter(|s| Duration::try_from_secs_f64(*s).is_ok());
    value.ok_or_else(|| "a number of seconds, as in 10 or 0.5, is needed".to_owned())
}

/// The verb.
pub fn run(args: &RunArgs) -> Result<u8> {
    let loaded = args.target.load_to_run(&args.share, &args.disk)?;
    let resolution = loaded.resolve()?;
    let progress = if args.quiet { Progress::Quiet } else { Progress::Shown };
    let (image, lock) =
        build::build_to_run(&loaded, &resolution, args.build_dir.as_deref(), progress)?;
    let launch = Launch::new(args, &loaded.project, &resolution, &image)?;
    if args.dry_run {
        if !launch.helpers.is_empty() {
            return Err(Diagnostic::new(
                "there is no command for --net user of a process: it gets open sockets",
            )
            .help("start passt, and name its socket: --net socket=PATH"));
        }
        println!("{}", launch.shell_line());
        return Ok(0);
    }
    if progress == Progress::Shown {
        eprintln!("{:>12} {}{}", "Running", launch.what, loaded.why_this_platform());
        if let Some(port) = args.gdb.filter(|port| *port != 0) {
            let dbg = quote(&relative_to_cwd(&image.dbg).to_string_lossy());
            eprintln!("{:>12} gdb {dbg} -ex 'target remote :{port}'", "Debug with");
        }
    }
    if args.detach {
        return detach::run(args, &resolution, &image, launch);
    }
    let filter = |to: Box<dyn Write + Send>| -> Box<dyn Write + Send> {
        Box::new(ReportFilter::new(to, &image.dbg))
    };
    let running = launch.start(Output::Passed(&filter))?;
    drop(lock);
    let code = running.code(args.timeout)?;
    if code == EXIT_NOT_STARTED && args.console != Console::Stdio {
        eprintln!("oxk: the image was not started; on its console (--console stdio) stands why");
    }
    Ok(code)
}

/// How an image is started.
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<String>,
    machine: Machine,
    /// For people: what runs where.
    what: String,
    console: Console,
    /// By which QEMU and this program talk.
    files: Option<qemu::Files>,
    /// Programs that are to be started before.
    helpers: Vec<Passt>,
}

/// Where the output of the image goes.
pub enum Output<'a> {
    /// To our own output, through a filter.
    Passed(&'a dyn Fn(Box<dyn Write + Send>) -> Box<dyn Write + Send>),
    /// Collected.
    Captured,
}

/// A process is debugged as every process is; gdbserver gives it a port as virtual machines have.
fn under_gdbserver(
    port: u16,
    (program, arguments): (PathBuf, Vec<String>),
    dbg: &Path,
) -> Result<(PathBuf, Vec<String>)> {
    let image = program.to_string_lossy().into_owned();
    let words = std::iter::once(image).chain(arguments);
    let Some(server) = crate::install::in_path("gdbserver") else {
        let mut line = format!("gdb -s {} --args", quote(&dbg.to_string_lossy()));
        line.extend(words.map(|word| format!(" {}", quote(&word))));
        return Err(Diagnostic::new("there is no gdbserver here, which opens a port on a process")
            .help(format!("start it in gdb instead: {line}")));
    };
    let own = ["--once".to_owned(), format!("127.0.0.1:{port}")];
    Ok((server, own.into_iter().chain(words).collect()))
}

/// The driver of disks of images that are processes, and how many it takes.
const PROCESS_DISKS: (&str, usize) = ("linuxu-blk", 8);

/// Parameters that give disks to an image that is a process.
fn disk_parameters(disks: &[Disk], resolution: &Resolution<'_>) -> Result<Vec<String>> {
    let (driver, most) = PROCESS_DISKS;
    if disks.len() > most {
        return Err(Diagnostic::new(format!(
            "{} disks are more than the {most} of platform {}",
            disks.len(),
            resolution.platform_name()
        ))
        .help("run it with --plat hvt or --plat kvm"));
    }
    // An image without a driver makes nothing of disks, here as in a machine.
    if !resolution.libraries.iter().any(|library| library.name == driver) {
        return Ok(Vec::new());
    }
    Ok((0..).zip(disks).map(|(index, disk)| format!("{driver}.disk{index}={disk}")).collect())
}

/// The driver of network cards of images that are processes, and how many it takes.
const PROCESS_NETS: (&str, usize) = ("linuxu-net", 4);

/// Parameters that give network cards to an image that is a process, and the helpers that they need.
fn net_parameters(nets: &[Card], resolution: &Resolution<'_>) -> Result<(Vec<String>, Vec<Passt>)> {
    let (driver, most) = PROCESS_NETS;
    if nets.len() > most {
        return Err(Diagnostic::new(format!(
            "{} network cards are more than the {most} of platform {}",
            nets.len(),
            resolution.platform_name()
        ))
        .help("run it with --plat hvt or --plat kvm"));
    }
    let (mut parameters, mut helpers) = (Vec::new(), Vec::new());
    // An image without a driver makes nothing of them, here as in a machine.
    if !resolution.libraries.iter().any(|library| library.name == driver) {
        return Ok((parameters, helpers));
    }
    for (index, net) in nets.iter().enumerate() {
        let word = match &net.kind {
            Kind::User(forwards) => {
                let passt = Passt::new(forwards)?;
                let card = Card { kind: Kind::Descriptor(passt.descriptor()), mac: net.mac };
                helpers.push(passt);
                card.to_string()
            }
            Kind::Tap(_) | Kind::Socket(_) | Kind::Descriptor(_) => net.to_string(),
        };
        parameters.push(format!("{driver}.net{index}={word}"));
    }
    Ok((parameters, helpers))
}

/// Words of the image's command line after its name.
pub fn command_line(args: &RunArgs, parameters: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut words: Vec<String> = parameters.into_iter().chain(args.param.clone()).collect();
    if !words.is_empty() || !args.args.is_empty() {
        words.push("--".into());
        words.extend(args.args.iter().cloned());
    }
    words
}

/// The parameter by which a Linux process finds its initial ram disk.
fn initrd_param(path: &Path) -> Result<String> {
    let path = path.canonicalize().map_err(|e| {
        Diagnostic::new(format!("cannot read the initial ram disk {}: {e}", path.display()))
            .help("give an existing file with --initrd")
    })?;
    Ok(format!("linuxu.initrd={}", path.display()))
}

impl Launch {
    /// Prepares to start `image`.
    pub fn new(
        args: &RunArgs,
        project: &Project,
        resolution: &Resolution<'_>,
        image: &Image,
    ) -> Result<Self> {
        let memory = match &args.memory {
            None => resolution.manifest.memory,
            Some(text) => Some(parse_size(text).ok_or_else(|| {
                Diagnostic::new(format!("`--memory {text}` is not a size"))
                    .help("write it as 64M or 1G")
            })?),
        };
        for param in &args.param {
            let known = param.split_once('=').and_then(|(name, _)| name.split_once('.'));
            if known.is_none() {
                return Err(Diagnostic::new(format!(
                    "`--param {param}` is not library.option=value"
                ))
                .help("for example: --param uklog.level=debug"));
            }
        }
        for disk in &args.disk {
            disk.check()?;
        }
        for card in &args.net {
            net::check(card)?;
        }
        let machine = resolution.platform.platform.as_ref().map_or(Machine::Process, |p| p.machine);
        let name = resolution.image_name();
        let plan = Plan::new(&resolution.manifest.mounts, machine)?;
        let mut parameters: Vec<String> = plan.parameter().into_iter().collect();
        match machine {
            Machine::Process => {
                parameters.extend(memory.map(|m| format!("linuxu.memory={m}")));
                parameters.extend(args.initrd.as_deref().map(initrd_param).transpose()?);
                parameters.extend(disk_parameters(&args.disk, resolution)?);
                let (nets, helpers) = net_parameters(&args.net, resolution)?;
                parameters.extend(nets);
                let command = (image.path.clone(), command_line(args, parameters));
                let (program, arguments) = match args.gdb {
                    None => command,
                    Some(port) => under_gdbserver(port, command, &image.dbg)?,
                };
                Ok(Self {
                    program,
                    arguments,
                    machine,
                    what: format!("{name} as a process"),
                    console: args.console.clone(),
                    files: None,
                    helpers,
                })
            }
            Machine::Tender => {
                let fixed = args.fixed_addresses.then(|| "--fixed-addresses".to_owned());
                let gdb = args.gdb.map(|port| format!("--gdb={port}"));
                // One of many, maybe: they have in common what they can.
                let share = args.detach.then(|| "--share-pages".to_owned());
                let options: Vec<String> = fixed.into_iter().chain(gdb).chain(share).collect();
                let spec = tender::Spec {
                    image: &image.path,
                    cpus: resolution.manifest.cpus,
                    memory: memory.unwrap_or(tender::DEFAULT_MEMORY),
                    words: &command_line(args, parameters),
                    initrd: args.initrd.as_deref(),
                    disks: &args.disk,
                    shared: &plan.shared,
                    nets: &args.net,
                    options: &options,
                };
                Ok(Self {
                    program: tender::ensure(project)?,
                    arguments: spec.arguments(),
                    machine,
                    what: format!(
                        "{name} in a virtual machine of the tender, {} of memory",
                        format_size(spec.memory)
                    ),
                    console: args.console.clone(),
                    files: None,
                    helpers: Vec::new(),
                })
            }
            Machine::Qemu => {
                let program = qemu::find(&resolution.arch)?;
                let files = qemu::Files::new()?;
                let accel = args.accel.decide();
                let spec = qemu::Spec {
                    image: &image.path,
                    model: args.vmm_machine,
                    accel,
                    cpus: resolution.manifest.cpus,
                    memory: memory.unwrap_or(qemu::DEFAULT_MEMORY),
                    words: &command_line(args, parameters),
                    initrd: args.initrd.as_deref(),
                    disks: &args.disk,
                    shared: &plan.shared,
                    nets: &args.net,
                    files: &files,
                };
                let mut arguments = spec.arguments()?;
                if let Some(port) = args.gdb {
                    arguments.extend(["-gdb".into(), format!("tcp:127.0.0.1:{port}"), "-S".into()]);
                }
                arguments.extend(args.qemu_arg.iter().cloned());
                Ok(Self {
                    program,
                    arguments,
                    machine,
                    what: format!(
                        "{name} on QEMU {} with {}, {} of memory",
                        args.vmm_machine,
                        accel,
                        format_size(spec.memory)
                    ),
                    console: args.console.clone(),
                    files: Some(files),
                    helpers: Vec::new(),
                })
            }
        }
    }

    /// The program and its arguments.
    pub fn command(&self) -> (&Path, &[String]) {
        (&self.program, &self.arguments)
    }

    /// The command as one would type it.
    pub fn shell_line(&self) -> String {
        let mut words = vec![quote(&self.program.to_string_lossy())];
        words.extend(self.arguments.iter().map(|a| quote(a)));
        let mut line = words.join(" ") + &self.console.redirection();
        if self.console != Console::Stdio && self.machine != Machine::Qemu {
            line += " 2>&1";
        }
        line
    }

    /// Leaves the files by which QEMU and others talk in their places when this ends.
    pub fn keep_files(&mut self) -> Result<Option<qemu::Kept>> {
        self.files.take().map(qemu::Files::keep).transpose()
    }

    /// Starts the programs that the image needs.
    pub fn start_helpers(&mut self) -> Result<Helpers> {
        let started: Result<Vec<_>> = self.helpers.drain(..).map(Passt::start).collect();
        let (sockets, running) = started?.into_iter().unzip();
        Ok(Helpers { sockets, running })
    }

    /// Starts the image.
    pub fn start(mut self, output: Output<'_>) -> Result<Running> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        // A process, and the tender, write crash reports to the error stream and the rest straight
        // to our output; QEMU's machines have one console.
        let sink = self.console.open()?;
        let (stdout, stderr) = match (&output, self.machine) {
            (Output::Captured, _) => (Stdio::piped(), Stdio::piped()),
            (Output::Passed(_), Machine::Process | Machine::Tender) => match &sink {
                None => (Stdio::inherit(), Stdio::piped()),
                Some(sink) => (sink.stdio()?, Stdio::piped()),
            },
            (Output::Passed(_), Machine::Qemu) => (Stdio::piped(), Stdio::inherit()),
        };
        let asks = self.machine == Machine::Qemu && matches!(output, Output::Passed(_));
        if matches!(output, Output::Captured) || sink.is_some() {
            command.stdin(Stdio::null());
        }
        if asks && File::open("/dev/tty").is_ok() {
            // By Ctrl-C the terminal would end QEMU, which asks no image. In the background of the
            // terminal it cannot read from there.
            command.process_group(0);
            if std::io::stdin().is_terminal() && sink.is_none() {
                command.stdin(Stdio::piped());
            }
        }
        let mut helpers = self.start_helpers()?;
        let signals = matches!(output, Output::Passed(_)).then(ending::watch).transpose()?;
        let mut child = command
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .context(format!("cannot start {}", self.program.display()))?;
        // The image has them.
        helpers.sockets.clear();
        if let Some(to) = child.stdin.take() {
            feed(to)?;
        }
        let mut pumps = Vec::new();
        let mut captured = Vec::new();
        match output {
            Output::Passed(filter) => {
                let to = |own: Box<dyn Write + Send>| -> Result<Box<dyn Write + Send>> {
                    let Some(sink) = &sink else { return Ok(own) };
                    Ok(match sink.file()? {
                        Some(file) => Box::new(file),
                        None => Box::new(std::io::sink()),
                    })
                };
                if let Some(from) = child.stdout.take() {
                    pumps.push(pump(from, filter(to(Box::new(std::io::stdout()))?)));
                }
                if let Some(from) = child.stderr.take() {
                    pumps.push(pump(from, filter(to(Box::new(std::io::stderr()))?)));
                }
            }
            Output::Captured => {
                if let Some(from) = child.stdout.take() {
                    captured.push(collect(from));
                }
                if let Some(from) = child.stderr.take() {
                    captured.push(collect(from));
                }
            }
        }
        Ok(Running {
            child,
            machine: self.machine,
            files: self.files,
            signals,
            pumps,
            captured,
            _helpers: helpers,
        })
    }
}

/// Programs that an image needs, which end with this.
#[derive(Debug)]
pub struct Helpers {
    /// Sockets to them, open in what is started next.
    sockets: Vec<OwnedFd>,
    running: Vec<passt::Running>,
}

impl Helpers {
    /// Leaves them to themselves: they end with the image.
    pub fn leave(self) {
        self.running.into_iter().for_each(passt::Running::leave);
    }
}

type Collector = std::thread::JoinHandle<Vec<u8>>;

/// A started image.
#[derive(Debug)]
pub struct Running {
    child: Child,
    machine: Machine,
    files: Option<qemu::Files>,
    /// Requests to end, when the output is passed on.
    signals: Option<Signals>,
    pumps: Vec<std::thread::JoinHandle<()>>,
    captured: Vec<Collector>,
    /// They end with this.
    _helpers: Helpers,
}

/// What a captured run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The exit code, as `oxk run` would return it.
    pub code: u8,
    /// Everything written, output before error stream.
    pub text: String,
}

impl Running {
    /// Waits for the end; returns the exit code of `oxk run`.
    pub fn code(mut self, timeout: Option<f64>) -> Result<u8> {
        let monitor = self.files.as_ref().and_then(qemu::Files::monitor);
        let process = Process::of_child(&self.child)?;
        let ending = self.signals.take().map(|signals| Ending::of(signals, process, monitor));
        let code = self.wait(timeout, ending.as_ref());
        for pump in self.pumps.drain(..) {
            // A pump ends with its pipe and does not panic.
            let _ = pump.join();
        }
        code
    }

    /// Waits for the end; returns exit code and output.
    pub fn capture(mut self, timeout: Option<f64>) -> Result<Captured> {
        let code = self.wait(timeout, None)?;
        let parts = self.captured.drain(..).map(|c| c.join().unwrap_or_default());
        let bytes: Vec<u8> = parts.flatten().collect();
        Ok(Captured { code, text: String::from_utf8_lossy(&bytes).into_owned() })
    }

    fn wait(&mut self, timeout: Option<f64>, ending: Option<&Ending>) -> Result<u8> {
        let start = Instant::now();
        let deadline = timeout
            .and_then(|s| Duration::try_from_secs_f64(s).ok())
            .and_then(|t| start.checked_add(t));
        let status = loop {
            match deadline {
                None => break self.child.wait().context("cannot wait for the image")?,
                Some(deadline) => {
                    if let Some(status) =
                        self.child.try_wait().context("cannot wait for the image")?
                    {
                        break status;
                    }
                    if Instant::now() >= deadline {
                        let _ = self.child.kill();
                        let _ = self.child.wait();
                        eprintln!("oxk: stopped after {} s", timeout.unwrap_or_default());
                        return Ok(EXIT_TIMEOUT);
                    }
                    // Seen at most 5 % too late, so that short runs can be measured.
                    let pause = start.elapsed() / 20;
                    std::thread::sleep(
                        pause.clamp(Duration::from_micros(20), Duration::from_millis(2)),
                    );
                }
            }
        };
        // It may have shut down in order and have a code of its own to say so, or not.
        if let Some(code) = ending.and_then(Ending::code) {
            return Ok(code);
        }
        let code_file = self.files.as_ref().map(qemu::Files::code);
        Ok(exit_code(self.machine, status, code_file))
    }
}

/// The exit code of an image whose process ended; `code_file` is where QEMU left it.
pub fn exit_code(machine: Machine, status: ExitStatus, code_file: Option<&Path>) -> u8 {
    match machine {
        Machine::Process | Machine::Tender => process_code(status),
        Machine::Qemu => match code_file.and_then(|f| std::fs::read(f).ok()).as_deref() {
            Some([.., code]) => *code,
            // QEMU's own code for what it cannot do.
            _ if status.code() == Some(1) => {
                eprintln!(
                    "oxk: QEMU did not start the machine; what it said about that is above, the \
                     command is printed by --dry-run"
                );
                EXIT_NOT_STARTED
            }
            _ => {
                eprintln!(
                    "oxk: the machine ended ({status}) and the image gave no exit code: it was \
                     stopped from outside, or its CPU gave up (triple fault), as it does in a \
                     machine whose memory is too small (--memory)"
                );
                EXIT_UNKNOWN
            }
        },
    }
}

fn process_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => {
            eprintln!("oxk: the image was ended by signal {signal}");
            EXIT_UNKNOWN
        }
        (None, None) => EXIT_UNKNOWN,
    }
}

fn pump(
    mut from: impl Read + Send + 'static,
    mut to: Box<dyn Write + Send>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            // When our own output is closed, the image must still be able to write.
            let _ = to.write_all(&buffer[..len]).and_then(|()| to.flush());
        }
    })
}

/// Passes our input on, until the image has ended or there is no more.
fn feed(mut to: ChildStdin) -> Result<()> {
    // Not through the buffer of `Stdin`: what is typed goes on at once.
    let input = std::io::stdin().as_fd().try_clone_to_owned().context("cannot read the input")?;
    std::thread::spawn(move || {
        // When the image has ended, so does this program, with this thread.
        let _ = std::io::copy(&mut File::from(input), &mut to);
    });
    Ok(())
}

fn collect(mut from: impl Read + Send + 'static) -> Collector {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

/// Writes a word so that a POSIX shell, and an image's command line, read it as one.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Runs a built image with extra parameters and collects what it says.
pub fn run_captured(
    args: &RunArgs,
    project: &Project,
    resolution: &Resolution<'_>,
    image: &Image,
) -> Result<Captured> {
    Launch::new(args, project, resolution, image)?.start(Output::Captured)?.capture(args.timeout)
}

/// Arguments as `oxk run APP` would have them, for verbs that run images themselves.
pub fn default_args(app: &Path) -> RunArgs {
    RunArgs {
        target: Target { app: app.to_owned(), ..Target::default() },
        memory: None,
        param: Vec::new(),
        initrd: None,
        disk: Vec::new(),
        share: Vec::new(),
        net: Vec::new(),
        console: Console::default(),
        vmm_machine: qemu::Model::default(),
        accel: qemu::Accel::default(),
        qemu_arg: Vec::new(),
        fixed_addresses: false,
        gdb: None,
        timeout: Some(60.0),
        detach: false,
        name: None,
        dry_run: false,
        build_dir: None,
        quiet: true,
        args: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quoting() {
        assert_eq!(quote("a.b=c"), "a.b=c");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}
