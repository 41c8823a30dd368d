import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { BlockStream } from './block-stream.ts';
import { fillBlock } from './fill-block.ts';
import { memo } from './memo.ts';

/** Markdown that grows: a block's elements stay the same once it is finished. */
export function AnswerText({ text, isWhole }: { text: string; isWhole: boolean }) {
  const stream = useMemo(() => new BlockStream(), []);
  return (
    <div class="markdown">
      {stream.update(text, isWhole).map(({ html }, i) => (
        <BlockView key={i} html={html} />
      ))}
    </div>
  );
}

const BlockView = memo(({ html }: { html: string }) => {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => fillBlock(box.current!, html), [html]);
  return <div class="block" dir="auto" ref={box} />;
});
