"""Where the browser is, as the browser itself knows it.

The server's own idea of the address arrives together with the record, after every wait. What must never stand under
another address is compared with these, which change in the moment the address does.
"""

from __future__ import annotations

import reflex as rx
from reflex_base.vars import VarData

#: As long as an address is looked at, here and where the server cuts it.
LONGEST = 1000


def _from_router(expression: str, name: str, hook: str) -> rx.Var[str]:
    """``expression`` over what the browser's router says; without brackets around it, which Reflex would take off."""
    data = VarData(imports={"react-router": [hook]}, hooks={f"const {name} = {hook}();": None})
    return rx.Var(_js_expr=expression, _var_type=str, _var_data=data).to(str)


def named_in_address(parameter: str) -> rx.Var[str]:
    """What the address names: for ``patient_id`` under ``/patients/LMC000123`` it is ``LMC000123``."""
    return _from_router(f'inAddress["{parameter}"]?.slice(0, {LONGEST})', "inAddress", "useParams")


def when_entered(value: rx.Var[str]) -> rx.Var[str]:
    """What ``value`` was when somebody came here by a link; empty if the page was loaded, or come back to."""
    once = f"const [whenEntered] = useState(cameBy === 'PUSH' ? ({value!s}) : '');"
    own = VarData(
        imports={"react": ["useState"], "react-router": ["useNavigationType"]},
        hooks={"const cameBy = useNavigationType();": None, once: None},
    )
    return rx.Var(_js_expr="whenEntered", _var_type=str, _var_data=VarData.merge(value._get_all_var_data(), own)).to(
        str
    )


def path_in_address() -> rx.Var[str]:
    """The path without a slash at its end: ``/patients``."""
    return _from_router('addressNow.pathname.replace(/(.)\\/+$/, "$1")', "addressNow", "useLocation")
