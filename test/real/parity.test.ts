import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acceptsManifests } from './parity/content.ts';
import { compare, intendedIn, rowsWithDifferences } from './parity/differences.ts';
import { fill, type Row, reading } from './parity/reading.ts';
import { openSide, type Side } from './parity/side.ts';
import { uploading } from './parity/uploading.ts';
import { writing } from './parity/writing.ts';
import { type RegistryPart, registryParts } from './support/distribution.ts';
import { requireParts } from './support/parts.ts';
import { type AddressForm, addressForms, openPushScene, type PushScene } from './support/push-scene.ts';

interface Sides {
  readonly direct: Side;
  readonly proxied: Side;
}

/** A repository for each side; their names have one length, so that bodies and their lengths can be compared. */
async function openSides(scene: PushScene, form: AddressForm, name: string): Promise<Sides> {
  const repository = { direct: `parity/d-${name}`, proxied: `parity/p-${name}` };
  const further = ['-other', '-unknown'].map((suffix) => `${repository.direct}${suffix}`);
  const direct = await scene.stored.authorize(repository.direct, ...further, 'Upper');
  return {
    direct: openSide({
      origin: scene.registry.origin,
      prefix: '',
      repository: repository.direct,
      headers: { ...direct, ...acceptsManifests },
    }),
    proxied: openSide({
      origin: `http://${scene.host('path form')}`,
      prefix: form === 'path form' ? 'namespaces/demo/connectors/harbor/' : '',
      repository: repository.proxied,
      headers: { host: scene.host(form), ...scene.callerHeaders, ...acceptsManifests },
    }),
  };
}

const slugOf = (name: string): string => (name.toLowerCase().match(/[a-z0-9]+/g) ?? []).join('-');

async function runBoth(row: Row, { direct, proxied }: Sides): Promise<ReadonlyMap<string, string>> {
  const [name, run] = row;
  const from = { direct: direct.exchanges.length, proxied: proxied.exchanges.length };
  await run(direct);
  await run(proxied);
  return compare(name, direct.exchanges.slice(from.direct), proxied.exchanges.slice(from.proxied));
}

describe.each(registryParts)('the answers of %s', (part: RegistryPart) => {
  const check = (row: Row, found: ReadonlyMap<string, string>) => {
    const values = [...found].map(([difference, value]) => `${difference}\n${value}`).join('\n');
    expect([...found.keys()].sort(), values).toEqual(intendedIn(row[0], part).sort());
  };

  requireParts(part)('are the same through the proxy', () => {
    let scene: PushScene;

    beforeAll(async () => {
      scene = await openPushScene(part);
    });
    afterAll(() => scene?.close());

    describe.each(addressForms)('in %s', (form) => {
      let shared: Sides;

      beforeAll(async () => {
        shared = await openSides(scene, form, `read-by-${slugOf(form)}`);
        await fill(shared.direct);
        await fill(shared.proxied);
      });

      test.each(reading)('for %s', async (...row) => {
        check(row, await runBoth(row, shared));
      });

      test.each([...uploading, ...writing])('for %s', async (...row) => {
        check(row, await runBoth(row, await openSides(scene, form, `${slugOf(row[0])}-by-${slugOf(form)}`)));
      });
    });

    test('no answer tells a credential, or where the registry is', () => {
      expect(scene.leaks()).toEqual([]);
    });
  });
});

test('every intended difference is one of a row', () => {
  const names = [...reading, ...uploading, ...writing].map(([name]) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(rowsWithDifferences().filter((row) => !names.includes(row))).toEqual([]);
});
