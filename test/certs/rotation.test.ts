import { describe, expect, it } from 'vitest';
import type { Authority } from '../../certs/authority.ts';
import { defaultLifetimes, renewAt, rotate, signer } from '../../certs/rotation.ts';

const DAY_MS = 24 * 60 * 60_000;
const start = Date.UTC(2026, 0, 1);
const options = { name: 'serving', caLifeMs: 30 * DAY_MS, leafLifeMs: 3 * DAY_MS, overlapMs: DAY_MS };
const day = (days: number) => start + Math.round(days * DAY_MS);

/** Rotates on each of `days` and says what is trusted and who signs: CAs are A, B, … in the order they appear. */
async function timeline(days: readonly number[], lifetimes: Partial<typeof options> = {}): Promise<string[]> {
  const rotation = { ...options, ...lifetimes };
  const seen: string[] = [];
  const letter = (cert: string) => {
    if (!seen.includes(cert)) seen.push(cert);
    return String.fromCharCode(65 + seen.indexOf(cert));
  };
  const lines: string[] = [];
  let authority: Authority = [];
  for (const at of days) {
    authority = await rotate(authority, day(at), rotation);
    const trusted = authority.map((ca) => letter(ca.cert)).join('');
    lines.push(`${at}: ${trusted} signed by ${letter(signer(authority, day(at), rotation.overlapMs).cert)}`);
  }
  return lines;
}

describe('the rotation of a CA', () => {
  it.each([
    {
      rule: 'adds a successor at two thirds of life, which signs after the overlap and then outlasts its predecessor',
      lines: [
        '0: A signed by A',
        '19.99: A signed by A',
        '20: AB signed by A',
        '20.99: AB signed by A',
        '21: AB signed by B',
        '23.99: AB signed by B',
        '24: B signed by B',
        '39.99: B signed by B',
        '40: BC signed by B',
        '41: BC signed by C',
        '44: C signed by C',
      ],
    },
    {
      rule: 'trusts a CA no longer than it is valid, however long its certificates were meant to live',
      lifetimes: { leafLifeMs: 20 * DAY_MS },
      lines: [
        '0: A signed by A',
        '20: AB signed by A',
        '21: AB signed by B',
        '29.99: AB signed by B',
        '30: B signed by B',
      ],
    },
    {
      rule: 'counts the overlap from when the successor was made, not from when it was due',
      lines: [
        '0: A signed by A',
        '25: AB signed by A',
        '25.99: AB signed by A',
        '26: AB signed by B',
        '29: B signed by B',
      ],
    },
    {
      rule: 'halves what is left of a CA that would not live through the overlap',
      lines: [
        '0: A signed by A',
        '29.5: AB signed by A',
        '29.74: AB signed by A',
        '29.75: AB signed by B',
        '30: B signed by B',
      ],
    },
    { rule: 'replaces a CA that expired unseen', lines: ['0: A signed by A', '30: B signed by B'] },
    {
      rule: 'goes back to the older CA while the clock is set back',
      lines: [
        '0: A signed by A',
        '20: AB signed by A',
        '21: AB signed by B',
        '20.5: AB signed by A',
        '-1: AB signed by A',
      ],
    },
  ])('$rule', async ({ lines, lifetimes }) => {
    expect(
      await timeline(
        lines.map((line) => Number.parseFloat(line)),
        lifetimes,
      ),
    ).toEqual(lines);
  });

  it('gives the same authority back where nothing is due', async () => {
    const authority = await rotate([], start, options);
    expect(await rotate(authority, day(19.99), options)).toBe(authority);
  });

  it('has no signer once every CA has expired', async () => {
    const authority = await rotate([], start, options);
    expect(() => signer(authority, day(30), options.overlapMs)).toThrow('every CA of the authority has expired');
  });

  it('takes ten years, ninety days and a day of overlap unless told otherwise', () => {
    const days = Object.values(defaultLifetimes).map((ms) => ms / DAY_MS);
    expect(days).toEqual([3650, 90, 1]);
  });
});

it('renews at two thirds of the life that begins when a certificate is made, not when it is valid from', () => {
  expect(renewAt({ notBefore: day(0) - 5 * 60_000, notAfter: day(90) })).toBe(day(60));
});
