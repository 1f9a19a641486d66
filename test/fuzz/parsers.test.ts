import { randomInt } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parsers } from './parsers.ts';

/** `npm run fuzz` gives each of them a hundred thousand inputs. */
const runs = 300;
const randomSeed = randomInt(2 ** 31);

test('each parser has a name of its own', () => {
  expect(new Set(parsers.map(({ name }) => name)).size).toBe(parsers.length);
});

describe.each([20_26, randomSeed])('with seed %i, nothing breaks', (seed) => {
  test.each(parsers.map((parser) => [parser.name, parser] as const))('%s', async (_name, parser) => {
    await parser.check({ runs, seed });
  });
});
