"""Who acts. A database engine carries it, so that every query and every write knows whose it is."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from core.errors import AccessError

VIEWER, ANALYST, ADMIN = "viewer", "analyst", "admin"
ROLES = (VIEWER, ANALYST, ADMIN)
"""Each may do what those before it may: look and export; work with documents, jobs and schemas; run the desk."""
ROLE_WORDS = {VIEWER: "查看者", ANALYST: "分析员", ADMIN: "管理员"}

EVERYBODY, PROJECT, USER = "all", "project", "user"
"""Who sees documents and runs: everybody, the members of their project, or only whoever brought them."""

LOCAL_USER = DEFAULT_PROJECT = 1
"""The rows that the migration makes: this machine's own user, and the project of all that has no other."""

# Execution option of engines that act for somebody.
OPTION = "rex_principal"


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who acts: a signed-in user or, without log-in, whoever sits at the machine.

    `project_id` is where new documents and runs go, `projects` are those of which the user is a member.
    """

    user_id: int = LOCAL_USER
    name: str = "local"
    role: str = ADMIN
    project_id: int = DEFAULT_PROJECT
    projects: tuple[int, ...] = (DEFAULT_PROJECT,)
    sharing: str = EVERYBODY
    address: str = ""
    session_id: int | None = None

    @property
    def local(self) -> bool:
        """Whether this is the machine's own user, who never signs in."""
        return self.user_id == LOCAL_USER

    @property
    def sees_all(self) -> bool:
        """Whether no document or run is hidden; administrators look after all of them."""
        return self.sharing == EVERYBODY or self.role == ADMIN


LOCAL = Principal()
"""The machine's own user: the command line, background work, and a desk that only this machine can reach."""


def allows(principal: Principal, role: str) -> bool:
    """Whether the principal may do what `role` may."""
    return ROLES.index(principal.role) >= ROLES.index(role)


def require(principal: Principal, role: str) -> None:
    """Raise AccessError unless the principal may do what `role` may."""
    if not allows(principal, role):
        raise AccessError(
            f"您的角色是“{ROLE_WORDS[principal.role]}”，这一步需要“{ROLE_WORDS[role]}”；没有做任何改动。"
            "请管理员在“用户与审计”页调整角色。"
        )


def bound(engine: Engine, principal: Principal) -> Engine:
    """The same database, on which `principal` acts."""
    return engine if principal_of(engine) == principal else engine.execution_options(**{OPTION: principal})


def principal_of(bind: Engine | Connection) -> Principal:
    """Who acts on an engine or connection; the machine's own user where nobody was named."""
    found: Principal = bind.get_execution_options().get(OPTION, LOCAL)
    return found
