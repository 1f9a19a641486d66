/** `npm run fuzz -- [--runs 100000] [--seed n] [--only part-of-a-name]`: each parser with many inputs. */
import { randomInt } from 'node:crypto';
import { inspect, parseArgs } from 'node:util';
import { parsers } from './parsers.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    seed: { type: 'string' },
    only: { type: 'string', default: '' },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed ?? randomInt(2 ** 31));
const say = (text: string) => process.stdout.write(`${text}\n`);

say(`${runs} inputs for each, seed ${seed}`);
for (const { name, check } of parsers.filter((parser) => parser.name.includes(values.only))) {
  const startedAt = performance.now();
  try {
    await check({ runs, seed });
    say(`ok      ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
  } catch (error) {
    process.exitCode = 1;
    say(`broken  ${name}\n${inspect(error)}`);
  }
}
