"""The icons of the demo's products: a cloud, a lock and branches, drawn by hand for it."""

from caelus import icons

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">'
    '<rect width="40" height="40" rx="8" fill="{ground}"/>{shapes}</svg>'
)
_CLOUD = (
    '<g fill="#fff"><circle cx="14" cy="22" r="6"/><circle cx="22" cy="17" r="8"/>'
    '<circle cx="29" cy="23" r="5"/><rect x="12" y="20" width="18" height="8" rx="4"/></g>'
)
_LOCK = (
    '<path d="M14 19v-4a6 6 0 0 1 12 0v4" fill="none" stroke="#fff" stroke-width="3"/>'
    '<rect x="10" y="18" width="20" height="14" rx="3" fill="#fff"/>'
    '<circle cx="20" cy="24" r="2" fill="#334155"/><path d="M19 24h2l1 5h-4z" fill="#334155"/>'
)
_BRANCHES = (
    '<g fill="none" stroke="#fff" stroke-width="3"><path d="M14 10v20"/>'
    '<path d="M14 26c0-7 12-3 12-10v-2"/></g>'
    '<g fill="#fff"><circle cx="14" cy="10" r="4"/><circle cx="14" cy="30" r="4"/>'
    '<circle cx="26" cy="13" r="4"/></g>'
)
_DRAWN = {
    "Nextcloud": ("#2b6cb0", _CLOUD),
    "Vaultwarden": ("#334155", _LOCK),
    "Gitea": ("#3f7d3a", _BRANCHES),
}


def of(product: str) -> str:
    ground, shapes = _DRAWN[product]
    return icons.of_file(_SVG.format(ground=ground, shapes=shapes).encode())
