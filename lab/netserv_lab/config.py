"""The configuration of a lab node: packaging/netservd.example.toml says what each key means."""


def text(node):
    lines = [
        "[node]",
        f'name = "{node.name}"',
        f'addresses = [{", ".join(quoted(a) for a in addresses(node))}]',
    ]
    return "\n".join(lines) + "\n"


def quoted(value):
    return f'"{value}"'


def addresses(node):
    return [str(a.ip) for end in node.host.spec.ends for a in end.addresses]
