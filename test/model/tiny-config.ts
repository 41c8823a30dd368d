/** A Llama of two small layers, as config.json says it. */
export const tinyConfig = {
  architectures: ['LlamaForCausalLM'],
  hidden_size: 12,
  intermediate_size: 17,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  num_key_value_heads: 1,
  vocab_size: 21,
  max_position_embeddings: 64,
};
