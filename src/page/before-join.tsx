import type { Status } from '../mesh/protocol/status.ts';
import { Fact } from './fact.tsx';
import { formatBytes } from './format.ts';
import { estimateShare } from './share-estimate.ts';
import { status } from './status.ts';

/** Before the first status there may be one. */
export const hasMesh = (now: Status | null) => now === null || now.provider === 'fxn';

/** What pressing Join would mean: what this tab would hold, what that costs, and how it ends. */
export function BeforeJoin({ budgetBytes }: { readonly budgetBytes: number }) {
  const share = estimateShare(status.value, budgetBytes);
  const model = status.value?.model;
  if (!hasMesh(status.value))
    return (
      <p class="small muted">
        This server passes questions on to other servers, and runs no model on the graphics cards of tabs:
        there is nothing to join. A server of your own can be lent as a local endpoint.
      </p>
    );
  return (
    <>
      {model && (
        <dl class="facts two">
          <Fact name="Model" value={model.id} />
          {share.kind === 'share' && (
            <>
              <Fact
                name="Your share"
                value={
                  share.layers === share.of
                    ? `all ${share.of} layers`
                    : `about ${share.layers} of ${share.of} layers`
                }
              />
              <Fact name="GPU memory" value={`about ${formatBytes(share.gpuBytes)}`} />
              <Fact name="Download" value={`about ${formatBytes(share.fileBytes)}, once`} />
            </>
          )}
        </dl>
      )}
      {share.kind === 'spare' && (
        <p class="small">
          All places are taken. You would be a spare, which steps in when somebody leaves, or many ask.
        </p>
      )}
      {share.kind === 'too-small' && (
        <div class="notice">
          One layer takes {formatBytes(share.neededBytes)} of GPU memory: lend more, or you will be a spare.
        </div>
      )}
      <ul class="terms small muted">
        <li>
          {share.kind === 'share'
            ? 'The download stays in this browser, for the next time.'
            : `It takes ${formatBytes(budgetBytes)} of GPU memory at most, and downloads no more than that, once.`}
        </li>
        <li>Your graphics card works while anybody asks: battery and fans will tell.</li>
        <li>What others ask, and the answers, pass through this tab.</li>
        <li>Leave, or close the tab, whenever you like: answers go on without you.</li>
      </ul>
    </>
  );
}
