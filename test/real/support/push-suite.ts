import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RegistryPart, registryParts } from './distribution.ts';
import type { PartName } from './part-names.ts';
import { requireParts } from './parts.ts';
import { type AddressForm, addressForms, openPushScene, type PushScene } from './push-scene.ts';

export interface PushSuite {
  readonly part: RegistryPart;
  readonly form: AddressForm;
  /** In tests and hooks only. */
  scene(): PushScene;
}

/** The tests of `body` against each registry, in each form of our addresses; what clients must not hear is listened for. */
export function describePushes(client: string, needed: readonly PartName[], body: (suite: PushSuite) => void): void {
  describe.each(registryParts)('%s', (part) => {
    requireParts(
      part,
      'unshare',
      'mount',
      ...needed,
    )(`${client} through the proxy`, () => {
      let scene: PushScene;

      beforeAll(async () => {
        scene = await openPushScene(part);
      });
      afterAll(() => scene?.close());

      describe.each(addressForms)('in %s', (form) => body({ part, form, scene: () => scene }));

      test('it was told neither a credential nor where the registry is', () => {
        expect(scene.leaks()).toEqual([]);
      });
    });
  });
}

/** The same for clients that work as root only. */
export function describePushesAsRoot(
  client: string,
  needed: readonly PartName[],
  body: (suite: PushSuite) => void,
): void {
  if (process.getuid?.() === 0) describePushes(client, needed, body);
  else describe.skip(client, () => body({ part: 'registry', form: 'path form', scene: noScene }));
}

const noScene = (): never => {
  throw new Error('this suite is skipped');
};
