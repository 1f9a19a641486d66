import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { requireMounts } from '../csi/support/require-mounts.ts';
import { openScene } from '../csi/support/scene.ts';
import { partPath } from './support/find-part.ts';
import { runProgram } from './support/program.ts';

/** What the suite finds out by itself that it need not run, and why it does not apply. */
const notApplicable: readonly (readonly [RegExp, string])[] = [
  [/^GroupController Service /, 'volumes are made by no controller: they are inline volumes of pods'],
  [/ NodeStageVolume | NodeUnstageVolume /, 'there is no device or share that pods would have in common'],
  [/ NodeGetVolumeStats /, 'a volume of some KiB has no figures that anybody would watch'],
  [/ NodeExpandVolume /, 'a volume grows with its files'],
  [/ NodeGetVolumeHealth | NodeGetStorageHealth /, 'alpha calls, about storage that can fail'],
  [/ with single node multi writer capability /, 'nobody writes'],
  [/^Node Service should (?:work|be idempotent)$/, 'its volume has to come from a controller'],
];

/** What the suite would run against the controller that this driver does not have. */
const leftOut: readonly (readonly [RegExp, string])[] = [
  [/\[Controller Server\]/, 'volumes are made by no controller: they are inline volumes of pods'],
  // test/csi/unpublish.test.ts tells the same of an inline volume.
  [/NodeUnpublishVolume should remove target path/, 'its volume has to come from a controller'],
];

const report = z.array(
  z.object({
    SpecReports: z.array(
      z.object({
        LeafNodeType: z.string(),
        LeafNodeText: z.string(),
        ContainerHierarchyTexts: z.array(z.string()).nullable(),
        State: z.string(),
        Failure: z.object({ Message: z.string() }).optional(),
      }),
    ),
  }),
);

requireMounts('csi-sanity')('csi-sanity', () => {
  test('passes for what applies to a driver of inline volumes', async () => {
    await using parts = new AsyncDisposableStack();
    const { driver, kubeletRoot } = await openScene(parts);
    await mkdir(join(kubeletRoot, 'pods'));
    const reportFile = join(kubeletRoot, 'report.json');
    const { code, stdout } = await runProgram(
      partPath('csi-sanity'),
      [
        ...['-csi.endpoint', driver.endpoint],
        ...['-csi.mountdir', join(kubeletRoot, 'pods/target'), '-csi.stagingdir', join(kubeletRoot, 'pods/staging')],
        ...leftOut.map(([pattern]) => `--ginkgo.skip=${pattern.source}`),
        ...['--ginkgo.json-report', reportFile, '--ginkgo.no-color'],
      ],
      { env: {} },
    );

    const specs = report
      .parse(JSON.parse(await readFile(reportFile, 'utf8')))
      .flatMap(({ SpecReports }) => SpecReports)
      .filter(({ LeafNodeType }) => LeafNodeType === 'It')
      .map(({ ContainerHierarchyTexts, LeafNodeText, State }) => ({
        name: [...(ContainerHierarchyTexts ?? []), LeafNodeText].join(' '),
        state: State,
      }));
    const inState = (state: string) => specs.filter((spec) => spec.state === state).map(({ name }) => name);
    expect({ code, failed: inState('failed') }, stdout).toEqual({ code: 0, failed: [] });
    // Ginkgo runs them in any order.
    expect(inState('passed').toSorted()).toEqual([
      'Identity Service GetPluginCapabilities should return appropriate capabilities',
      'Identity Service GetPluginInfo should return appropriate information',
      'Identity Service Probe should return appropriate information',
      'Node Service NodeGetCapabilities should return appropriate capabilities',
      'Node Service NodeGetInfo should return appropriate values',
      'Node Service NodePublishVolume should fail when no target path is provided',
      'Node Service NodePublishVolume should fail when no volume capability is provided',
      'Node Service NodePublishVolume should fail when no volume id is provided',
      'Node Service NodeUnpublishVolume should fail when no target path is provided',
      'Node Service NodeUnpublishVolume should fail when no volume id is provided',
    ]);
    const reasons = [...notApplicable, ...leftOut].map(([pattern]) => pattern);
    expect(inState('skipped').filter((name) => !reasons.some((pattern) => pattern.test(name)))).toEqual([]);
    // A reason that no spec needs any more goes.
    for (const pattern of reasons)
      expect(
        inState('skipped').some((name) => pattern.test(name)),
        `${pattern}`,
      ).toBe(true);
  });
});
