import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { type Credential, redactAll } from '../credentials/credential.ts';
import { type LogLevel, type LogSettings, logLevels } from './settings.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Lines of JSON for people who look why a pull failed. No line holds what was concealed. */
export interface Log {
  write(level: LogLevel, message: string, fields?: Fields): void;
  /** From now on a text that no line may hold, in any spelling. */
  conceal(secret: string, username?: string): void;
  /** A text as it may be shown. */
  redacted(text: string): string;
}

export interface LogOptions {
  readonly settings: LogSettings;
  /** Standard error, or what stands for it. */
  readonly note: (line: string) => void;
  readonly now: () => number;
  readonly pid: number;
  /** What is concealed, also from a log that is opened later; added to. */
  readonly hidden?: Credential[];
}

/**
 * Opens the file at the first line. What cannot be written there goes to `note`, once with the reason: a full disk or a
 * read-only one costs no answer.
 */
export function createLog({ settings, note, now, pid, hidden = [] }: LogOptions): Log {
  const redacted = (text: string): string => redactAll(text, hidden);
  const append = settings.file === undefined ? note : appender(settings.file, settings.maxBytes, note);
  return {
    redacted,
    conceal: (secret, username = '') => {
      if (secret.length >= concealedLengthMin) hidden.push({ kind: 'password', username, password: secret });
    },
    write: (level, message, fields = {}) => {
      if (logLevels.indexOf(level) < logLevels.indexOf(settings.level)) return;
      const line = { level, time: new Date(now()).toISOString(), pid, msg: message, ...fields };
      append(JSON.stringify(line, (_key, value) => (typeof value === 'string' ? redacted(value) : value)));
    },
  };
}

/** Hiding `a` would leave nothing to read. */
const concealedLengthMin = 4;

function appender(file: string, maxBytes: number, note: (line: string) => void): (line: string) => void {
  let fd: number | undefined;
  let isBroken = false;
  return (line) => {
    if (isBroken) return note(line);
    try {
      fd ??= openLog(file, maxBytes);
      const bytes = Buffer.from(`${line}\n`);
      // One write at the end of the file: lines of others may stand before and behind, and not within.
      if (writeSync(fd, bytes) < bytes.length) throw new Error('the disk is full');
    } catch (error) {
      isBroken = true;
      const { code, message } = error as NodeJS.ErrnoException;
      note(`the log ${file} cannot be written (${code ?? message})`);
      note(line);
    }
  };
}

const openFlags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

function openLog(file: string, maxBytes: number): number {
  mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
  const fd = openSync(file, openFlags | constants.O_NONBLOCK, 0o600);
  const { size, ino, mode } = fstatSync(fd);
  // One that was there before, or that somebody else made.
  if ((mode & 0o077) !== 0) fchmodSync(fd, 0o600);
  if (size < maxBytes) return fd;
  closeSync(fd);
  putAside(file, ino);
  return openSync(file, openFlags, 0o600);
}

/** Moves the file that was full. Somebody else may have done so since: the one that is there now is not. */
export function putAside(file: string, ino: number): void {
  if (statSync(file).ino === ino) renameSync(file, `${file}.1`);
}
