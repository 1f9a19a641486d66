import { type JsonObject, parseJsonObject } from './json.ts';

/** What a JWT says, which nobody has verified. */
export interface UnverifiedJwt {
  readonly header: JsonObject;
  readonly claims: JsonObject;
  /** Both as they stand in the token. */
  readonly texts: readonly [header: string, claims: string];
}

const shape = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/;

/** Reads a JWT without verifying it; undefined for what is none. */
export function readJwt(token: string): UnverifiedJwt | undefined {
  const [, header64 = '', claims64 = ''] = shape.exec(token) ?? [];
  const texts = [textOf(header64), textOf(claims64)] as const;
  const [header, claims] = texts.map(parseJsonObject);
  return header !== undefined && claims !== undefined ? { header, claims, texts } : undefined;
}

const textOf = (part: string): string => Buffer.from(part, 'base64url').toString('utf8');
