"""Completion for shells: scripts made from the usage texts and the input schemas of the table."""

import re
from typing import NamedTuple

from caelus import helptext, manual
from caelus.operations import BY_COMMAND

SERVER = "Ask the Caelus at this URL"
FILES = ("PATH", "DIR")  # what options take that is in the file system


class Option(NamedTuple):
    """`takes` is what it takes, such as PATH, or "" for a flag; `choices` are all it may be."""

    name: str
    takes: str
    text: str
    choices: list[str]


class Command(NamedTuple):
    """`words` are what may follow literally, such as the names of shells."""

    name: str
    text: str
    options: list[Option]
    words: list[str]
    takes_file: bool = False


def commands() -> list[Command]:
    usages = helptext.usages()
    found = [_command(name, usage) for name, usage in usages.items()]
    topics = [*usages, *(topic for topic in manual.topics() if topic not in usages)]
    return [*found, Command("help", "Explain a command or a topic.", [], topics)]


def _command(name: str, usage: str) -> Command:
    text, _, rest = usage.partition("\n")
    patterns = rest.partition("Usage:")[2].partition("\n\n")[0]
    options = [
        Option(option, takes, _told(option, usage), _choices(name, option))
        for option, takes in dict(re.findall(r"(--[a-z-]+)(?:=([A-Z]+))?", patterns)).items()
    ]
    words = re.findall(r"(?<![-=\w])[a-z]+(?![-=\w])", patterns.replace(f"caelus {name}", ""))
    return Command(name, text, options, words, f"caelus {name} FILE" in patterns)


def _told(option: str, usage: str) -> str:
    """The first sentence that the usage text says of an option."""
    told = re.search(rf"^  {option}\b(?:=\S+)? +((?:.+\n)(?:   .+\n)*)", usage, re.MULTILINE)
    text = " ".join(told[1].split()) if told else ""
    return re.split(r"(?<=[a-z])[.;:] ", text)[0].rstrip(".")


def _choices(command: str, option: str) -> list[str]:
    if command not in BY_COMMAND:
        return []
    operation = BY_COMMAND[command]
    name = operation.words.get(option, option[2:].replace("-", "_"))
    schema = operation.input["properties"].get(name, {})
    takes_value = f"{option}=" in operation.usage
    return ["true", "false"] * (schema.get("type") == "boolean" and takes_value) + schema.get(
        "enum", []
    )


# bash


BASH = r"""# Completion of caelus for bash: source <(caelus completion bash)
_caelus() {
    local line=${COMP_LINE:0:COMP_POINT} word current command= choices= files= prefix=
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[-1]}
    words=("${words[@]:1:${#words[@]}-2}")
    [[ ${words[0]} == --server ]] && words=("${words[@]:2}")
    for word in "${words[@]}"; do
        [[ $word == -* ]] || { command=$word; break; }
    done
    case $command,$current in
@CASES@
    esac
    # To readline the word begins behind the =, unless somebody has told it otherwise.
    [[ $current == --*=* ]] && prefix=${current%%=*}=
    current=${current#"$prefix"}
    if [[ $files ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        compopt -o filenames
    else
        mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
    fi
    [[ $COMP_WORDBREAKS == *=* ]] || COMPREPLY=("${COMPREPLY[@]/#/"$prefix"}")
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -F _caelus caelus
"""


def bash() -> str:
    values, names = [], []
    for command in commands():
        for option in command.options:
            place = f"{command.name},{option.name}=*"
            if option.takes in FILES:
                values.append(f"{place}) files=yes;;")
            elif option.choices:
                values.append(_bash_case(place, option.choices))
        options = [option.name + "=" * bool(option.takes) for option in command.options]
        if command.takes_file:
            names.append(f"{command.name},[!-]*|{command.name},) files=yes;;")
        names.append(_bash_case(f"{command.name},*", [*command.words, *options, "--help"]))
    first = [command.name for command in commands()] + ["--help", "--server=", "--version"]
    cases = [*values, "*,--*=*) ;;", *names, _bash_case(",*", first)]
    return BASH.replace("@CASES@", "\n".join(f"        {case}" for case in cases))


def _bash_case(place: str, choices: list[str]) -> str:
    return f'{place}) choices="{" ".join(choices)}";;'


# zsh


ZSH = """#compdef caelus
# Completion of caelus for zsh: source <(caelus completion zsh), after compinit
_caelus() {
    local context state state_descr line
    local -a commands
    local -A opt_args
    commands=(
@COMMANDS@
    )
    _arguments -C \\
        '--server=[@SERVER@]:URL:' '(- *)--help[Explain the commands.]' \\
        '(- *)--version[Tell the version.]' '1:command:->command' '*::argument:->argument'
    case $state in
        command) _describe -t commands command commands;;
        argument)
            case $line[1] in
@CASES@
            esac;;
    esac
}
if [[ $funcstack[1] == _caelus ]]; then  # a file of the fpath
    _caelus "$@"
else
    compdef _caelus caelus
fi
"""


def zsh() -> str:
    listed = [f"        {_quoted(f'{c.name}:{c.text}')}" for c in commands()]
    script = ZSH.replace("@COMMANDS@", "\n".join(listed)).replace("@SERVER@", SERVER)
    cases = "\n".join(_zsh_case(command) for command in commands())
    return script.replace("@CASES@", cases)


def _zsh_case(command: Command) -> str:
    arguments = [_zsh_option(option) for option in command.options]
    arguments.append("--help[Explain this command]")
    action = "_files" if command.takes_file else f"({' '.join(command.words)})"
    arguments.append(f"*:argument:{action}")
    return f"                {command.name}) _arguments {' '.join(map(_quoted, arguments))};;"


def _zsh_option(option: Option) -> str:
    text = re.sub(r"([\[\]:])", r"\\\1", option.text)
    if not option.takes:
        return f"{option.name}[{text}]"
    action = f"({' '.join(option.choices)})" if option.choices else ""
    return f"{option.name}=-[{text}]:{option.takes}:{'_files' * (option.takes in FILES) or action}"


# fish


def fish() -> str:
    lines = [
        "# Completion of caelus for fish: caelus completion fish | source",
        "complete -c caelus -f",
        f"complete -c caelus -n __fish_use_subcommand -l server -x -d {_quoted(SERVER)}",
        "complete -c caelus -n __fish_use_subcommand -l version",
        "complete -c caelus -l help",
    ]
    for command in commands():
        told = f"-a {command.name} -d {_quoted(command.text)}"
        lines.append(f"complete -c caelus -n __fish_use_subcommand {told}")
        seen = f"complete -c caelus -n '__fish_seen_subcommand_from {command.name}'"
        lines += [f"{seen} {_fish_option(option)}" for option in command.options]
        lines += [f"{seen} -a '{' '.join(command.words)}'"] * bool(command.words)
        lines += [f"{seen} -F"] * command.takes_file
    return "\n".join(lines) + "\n"


def _fish_option(option: Option) -> str:
    kind = "-r -F" if option.takes in FILES else "-x" if option.takes else ""
    choices = f"-a '{' '.join(option.choices)}'" if option.choices else ""
    told = f"-d {_quoted(option.text, fish=True)}"
    return " ".join(filter(None, (f"-l {option.name[2:]}", kind, choices, told)))


def _quoted(text: str, fish: bool = False) -> str:
    """`text` between single quotes of a shell."""
    if fish:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return "'" + text.replace("'", "'\\''") + "'"


SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}
