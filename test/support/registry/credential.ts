export interface Credential {
  readonly username: string;
  readonly password: string;
}

/** The credential that a registry accepts; it can be exchanged while the registry runs. */
export class CredentialBox {
  current: Credential | undefined;

  constructor(current: Credential | undefined) {
    this.current = current;
  }

  accepts(candidate: Credential | undefined): boolean {
    return (
      this.current !== undefined &&
      candidate?.username === this.current.username &&
      candidate.password === this.current.password
    );
  }
}

/** The user and password of a Basic Authorization header. */
export function parseBasic(authorization: string | undefined): Credential | undefined {
  const [, encoded] = /^basic +(\S+)$/i.exec(authorization ?? '') ?? [];
  const [, username, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString()) ?? [];
  return username === undefined || password === undefined ? undefined : { username, password };
}

/** The token of a Bearer Authorization header. */
export function parseBearer(authorization: string | undefined): string | undefined {
  return /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
}
