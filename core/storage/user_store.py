"""Users and projects, written and read. Services above decide who may do so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.access.principal import DEFAULT_PROJECT, LOCAL_USER
from core.errors import AccessError
from core.storage.access_tables import MemberRow, ProjectRow, UserRow
from core.storage.batch_store import BatchRow
from core.storage.database import storage_errors, writing
from core.storage.tables import DocumentRow, RunRow, SchemaRow
from core.storage.tuning_tables import TuningRow


@dataclass(frozen=True, slots=True)
class User:
    """A user; `password` is its hash, empty for who comes through a sign-in service. `projects` are numbers."""

    id: int
    name: str
    email: str | None
    subject: str | None
    role: str
    password: str
    temporary: bool
    disabled: bool
    created_at: datetime
    seen_at: datetime | None
    valid_from: datetime | None
    projects: tuple[int, ...]

    def __repr__(self) -> str:
        return f"User({self.id}, {self.name!r}, {self.role})"  # no hash in a log


@dataclass(frozen=True, slots=True)
class Project:
    """A project and how many users and documents it has."""

    id: int
    name: str
    members: int
    documents: int


def list_users(engine: Engine) -> list[User]:
    """Everybody who may sign in, by name; the machine's own user is not among them."""
    return _users(engine, UserRow.id != LOCAL_USER)


def find_user(engine: Engine, **key: Any) -> User | None:
    """The user with this `id`, `name`, `email` or `subject`; never the machine's own."""
    conditions = [getattr(UserRow, column) == value for column, value in key.items()]
    return next(iter(_users(engine, UserRow.id != LOCAL_USER, *conditions)), None)


def get_user(engine: Engine, name: str) -> User:
    """The user of a name. Raises AccessError when there is none."""
    found = find_user(engine, name=name)
    if found is None:
        raise AccessError(f"没有名为“{name}”的用户。")
    return found


def add_user(
    engine: Engine, name: str, *, role: str, password: str = "", email: str | None = None, subject: str | None = None
) -> int:
    """Add a user, a member of the first project; returns the number. A password (its hash) is to be changed.

    Raises AccessError when the name or address is taken.
    """
    with _transaction(engine) as session:
        row = UserRow(name=name, role=role, password=password, email=email, subject=subject, temporary=bool(password))
        session.add(row)
        try:
            session.flush()
        except IntegrityError as error:
            raise AccessError(f"用户名“{name}”或邮箱“{email or ''}”已被使用，请换一个。") from error
        session.add(MemberRow(project_id=DEFAULT_PROJECT, user_id=row.id))
        return row.id


def change_user(engine: Engine, user_id: int, **values: Any) -> None:
    """Change columns of a user; the machine's own stays as it is."""
    with _transaction(engine) as session:
        session.execute(update(UserRow).where(UserRow.id == user_id, UserRow.id != LOCAL_USER).values(**values))


def remove_user(engine: Engine, user_id: int, *, heir: int) -> None:
    """Remove a user and his sessions; documents, runs, schemas and the rest go to `heir`."""
    with _transaction(engine) as session:
        for table in (DocumentRow, RunRow, SchemaRow, TuningRow, BatchRow):
            session.execute(update(table).where(table.user_id == user_id).values(user_id=heir))
        session.execute(delete(UserRow).where(UserRow.id == user_id, UserRow.id != LOCAL_USER))


def list_projects(engine: Engine) -> list[Project]:
    """All projects, by number."""
    members = select(func.count()).where(MemberRow.project_id == ProjectRow.id).scalar_subquery()
    documents = select(func.count()).where(DocumentRow.project_id == ProjectRow.id).scalar_subquery()
    query = select(ProjectRow.id, ProjectRow.name, members, documents).order_by(ProjectRow.id)
    with storage_errors(engine), engine.connect() as connection:
        return [Project(*row) for row in connection.execute(query)]


def project_names(engine: Engine) -> dict[int, str]:
    """The names of all projects by number."""
    with storage_errors(engine), engine.connect() as connection:
        query = select(ProjectRow.id, ProjectRow.name).order_by(ProjectRow.id)
        return {row.id: row.name for row in connection.execute(query)}


def add_project(engine: Engine, name: str) -> int:
    """Add a project; returns its number. Raises AccessError when the name is taken."""
    with _transaction(engine) as session:
        row = ProjectRow(name=name)
        session.add(row)
        try:
            session.flush()
        except IntegrityError as error:
            raise AccessError(f"项目“{name}”已经存在，请换一个名称。") from error
        return row.id


def set_members(engine: Engine, project_id: int, user_ids: list[int]) -> None:
    """Make exactly these users the members of a project."""
    with _transaction(engine) as session:
        session.execute(delete(MemberRow).where(MemberRow.project_id == project_id))
        session.add_all(MemberRow(project_id=project_id, user_id=one) for one in dict.fromkeys(user_ids))


def _users(engine: Engine, *conditions: Any) -> list[User]:
    # asked at the door, where nobody is known yet: one query for the users, one for their projects
    columns = [column for column in UserRow.__table__.columns]
    with storage_errors(engine), engine.connect() as connection:
        rows = connection.execute(select(*columns).where(*conditions).order_by(UserRow.name)).all()
        joined: defaultdict[int, list[int]] = defaultdict(list)
        members = select(MemberRow.user_id, MemberRow.project_id).where(MemberRow.user_id.in_([row.id for row in rows]))
        for user_id, project_id in connection.execute(members.order_by(MemberRow.project_id)):
            joined[user_id].append(project_id)
    return [User(**row._mapping, projects=tuple(joined[row.id])) for row in rows]


@contextmanager
def _transaction(engine: Engine) -> Iterator[Session]:
    with storage_errors(engine), Session(writing(engine)) as session, session.begin():
        yield session
