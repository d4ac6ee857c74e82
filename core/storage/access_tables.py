"""The tables of access: users, projects with their members, sessions, failed log-ins, and the audit log."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from core.access.principal import ROLES
from core.storage.tables import Base, UtcDateTime, utc_now


class UserRow(Base):
    """Somebody who may sign in; the first row is the machine's own user, who never does.

    Documents, runs and schemas name users and projects without a foreign key: SQLite cannot add one to a large table
    without writing it anew. Whoever removes a user hands over what was his.
    """

    __tablename__ = "users"
    __table_args__ = (CheckConstraint(f"role IN {ROLES}", name="role"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    # how a sign-in service calls him; NULL where there is a password
    email: Mapped[str | None] = mapped_column(String(255), unique=True)
    # issuer and subject, noted at the first sign-in: an e-mail address may pass to somebody else
    subject: Mapped[str | None] = mapped_column(String(512), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    password: Mapped[str] = mapped_column(String(255), default="", server_default="")
    # made by the program: to be changed at the first sign-in
    temporary: Mapped[bool] = mapped_column(default=False, server_default=false())
    disabled: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # sign-ins through a service before this moment no longer count
    valid_from: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ProjectRow(Base):
    """What documents, runs and schemas belong to; the first row holds all that has no other."""

    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class MemberRow(Base):
    """A user who belongs to a project."""

    __tablename__ = "project_members"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)


class SessionRow(Base):
    """A signed-in browser; only the hash of its token is kept."""

    __tablename__ = "user_sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    address: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class FailureRow(Base):
    """Failed sign-ins under one name or from one address ("user:…", "address:…"), and until when it is locked."""

    __tablename__ = "sign_in_failures"

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    locked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AuditRow(Base):
    """Who did what to what, and when. Rows are only ever added; they hold no text of documents.

    The name is written down: it stays when the user is removed.
    """

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "at", "id"), Index(None, "user_name", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    user_id: Mapped[int]
    user_name: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(64))
    object: Mapped[str] = mapped_column(String(255))
    # "done", "denied" or "failed"
    outcome: Mapped[str] = mapped_column(String(16))
