/** What a JWT says, which nobody has verified. */
export interface UnverifiedJwt {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Both as they stand in the token. */
  readonly texts: readonly [header: string, claims: string];
}

const shape = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/;

/** Reads a JWT without verifying it; undefined for what is none. */
export function readJwt(token: string): UnverifiedJwt | undefined {
  const [, header64 = '', claims64 = ''] = shape.exec(token) ?? [];
  const texts = [textOf(header64), textOf(claims64)] as const;
  try {
    const [header, claims]: unknown[] = texts.map((text) => JSON.parse(text));
    return isRecord(header) && isRecord(claims) ? { header, claims, texts } : undefined;
  } catch {
    return undefined;
  }
}

const textOf = (part: string): string => Buffer.from(part, 'base64url').toString('utf8');

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
