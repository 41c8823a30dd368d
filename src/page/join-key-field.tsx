import type { Signal } from '@preact/signals';
import { MAX_JOIN_KEY_CHARS } from '../config/limits.ts';
import { Field } from './field.tsx';

/** Shown only once a server has asked for a key: most ask for none. */
export function JoinKeyField(props: { readonly joinKey: Signal<string>; readonly onEnter: () => void }) {
  const { joinKey, onEnter } = props;
  return (
    <form
      class="fields"
      onSubmit={(event) => {
        event.preventDefault();
        onEnter();
      }}
    >
      <Field name="join-key" label="Join key, from whoever runs this server">
        {(attributes) => (
          <input
            {...attributes}
            type="password"
            autocomplete="off"
            maxLength={MAX_JOIN_KEY_CHARS}
            value={joinKey.value}
            onInput={({ currentTarget }) => (joinKey.value = currentTarget.value)}
          />
        )}
      </Field>
    </form>
  );
}
