#include "ops/builtin.h"

#include <array>

namespace hub {

// One line for each family file of this folder, here and in the array.
OpFamily array_basic_ops();
OpFamily array_depth_ops();
OpFamily array_gather_ops();
OpFamily array_index_ops();
OpFamily array_inplace_ops();
OpFamily array_join_ops();
OpFamily array_mirror_pad_ops();
OpFamily array_pad_ops();
OpFamily array_reverse_ops();
OpFamily array_scatter_ops();
OpFamily array_select_ops();
OpFamily array_shape_ops();
OpFamily array_slice_ops();
OpFamily array_space_ops();
OpFamily array_stitch_ops();
OpFamily array_transpose_ops();
OpFamily array_unique_ops();
OpFamily audio_spectrum_ops();
OpFamily audio_wav_ops();
OpFamily control_ops();
OpFamily control_functional_ops();
OpFamily control_stack_ops();
OpFamily control_tensor_array_ops();
OpFamily control_tensor_list_ops();
OpFamily control_tensor_list_stack_ops();
OpFamily control_value_ops();
OpFamily fake_quant_ops();
OpFamily file_ops();
OpFamily hash_bucket_ops();
OpFamily image_boxes_ops();
OpFamily image_color_ops();
OpFamily image_crop_ops();
OpFamily image_decode_ops();
OpFamily image_encode_ops();
OpFamily image_glimpse_ops();
OpFamily image_resize_area_ops();
OpFamily image_resize_bicubic_ops();
OpFamily image_resize_bilinear_ops();
OpFamily image_resize_nearest_ops();
OpFamily image_resize_quantized_ops();
OpFamily image_scale_translate_ops();
OpFamily image_suppression_ops();
OpFamily image_suppression_combined_ops();
OpFamily image_transform_ops();
OpFamily linalg_band_ops();
OpFamily linalg_diag_ops();
OpFamily linalg_einsum_ops();
OpFamily linalg_matmul_ops();
OpFamily linalg_tridiagonal_ops();
OpFamily linalg_triangular_ops();
OpFamily linalg_quantized_ops();
OpFamily linalg_svd_ops();
OpFamily linalg_square_root_ops();
OpFamily linalg_solve_ops();
OpFamily linalg_decompositions_ops();
OpFamily linalg_cholesky_ops();
OpFamily math_arithmetic_ops();
OpFamily math_bincount_ops();
OpFamily math_bins_ops();
OpFamily math_bitpack_ops();
OpFamily math_cast_ops();
OpFamily math_compare_ops();
OpFamily math_complex_ops();
OpFamily math_division_ops();
OpFamily math_fft_ops();
OpFamily math_integrals_ops();
OpFamily math_quantize_ops();
OpFamily math_quantize_dequantize_ops();
OpFamily math_requantize_ops();
OpFamily math_special_ops();
OpFamily math_sum_ops();
OpFamily math_transcendental_ops();
OpFamily math_unary_ops();
OpFamily nn_activation_ops();
OpFamily nn_fused_attention_ops();
OpFamily nn_fused_batch_norm_ops();
OpFamily nn_fused_conv_ops();
OpFamily nn_fused_gelu_ops();
OpFamily nn_fused_layer_norm_ops();
OpFamily nn_fused_matmul_ops();
OpFamily nn_array_matmul_ops();
OpFamily nn_avg_pool_ops();
OpFamily nn_batch_norm_ops();
OpFamily nn_bias_ops();
OpFamily nn_conv2d_ops();
OpFamily nn_conv3d_ops();
OpFamily nn_ctc_ops();
OpFamily nn_ctc_beam_ops();
OpFamily nn_dilation_ops();
OpFamily nn_gru_ops();
OpFamily nn_loss_ops();
OpFamily nn_max_pool_ops();
OpFamily nn_max_pool3d_ops();
OpFamily nn_norm_ops();
OpFamily nn_rnn_ops();
OpFamily nn_softmax_ops();
OpFamily optimizer_adagrad_ops();
OpFamily optimizer_adam_ops();
OpFamily optimizer_descent_ops();
OpFamily optimizer_ftrl_ops();
OpFamily random_ops();
OpFamily random_binomial_ops();
OpFamily random_box_ops();
OpFamily random_candidates_ops();
OpFamily random_crop_ops();
OpFamily random_gamma_ops();
OpFamily random_multinomial_ops();
OpFamily random_poisson_ops();
OpFamily random_shuffle_ops();
OpFamily random_stateful_ops();
OpFamily random_stateless_ops();
OpFamily random_truncated_ops();
OpFamily reduce_ops();
OpFamily reduce_arg_ops();
OpFamily reduce_bincount_ops();
OpFamily reduce_counts_ops();
OpFamily reduce_scan_ops();
OpFamily reduce_segment_ops();
OpFamily reduce_sparse_segment_ops();
OpFamily sparse_ops();
OpFamily sparse_sets_ops();
OpFamily sparse_serialize_ops();
OpFamily sparse_parse_ops();
OpFamily sparse_parse_sequence_ops();
OpFamily sparse_combine_ops();
OpFamily sparse_cross_ops();
OpFamily sparse_edit_distance_ops();
OpFamily sparse_gradient_ops();
OpFamily sparse_math_ops();
OpFamily sparse_matmul_ops();
OpFamily sparse_merge_ops();
OpFamily sparse_ragged_ops();
OpFamily sparse_ragged_cross_ops();
OpFamily sparse_ragged_dense_ops();
OpFamily sparse_ragged_variant_ops();
OpFamily sparse_reduce_ops();
OpFamily state_ref_ops();
OpFamily state_ref_flow_ops();
OpFamily state_resource_ops();
OpFamily state_save_ops();
OpFamily state_save_v1_ops();
OpFamily state_scatter_ops();
OpFamily state_scatter_nd_ops();
OpFamily state_slice_ops();
OpFamily summary_ops();
OpFamily summary_media_ops();
OpFamily table_ops();
OpFamily table_dense_ops();
OpFamily table_hash_ops();
OpFamily table_init_ops();
OpFamily table_mutable_ops();
OpFamily text_ops();
OpFamily text_base64_ops();
OpFamily text_convert_ops();
OpFamily text_embedding_ops();
OpFamily text_format_ops();
OpFamily text_join_ops();
OpFamily text_number_ops();
OpFamily text_regex_ops();
OpFamily text_split_ops();
OpFamily text_substr_ops();
OpFamily text_unicode_ops();
OpFamily tftext_bytes_ops();
OpFamily tftext_normalize_ops();
OpFamily tf_sentencepiece_ops();
OpFamily tftext_sentencepiece_ops();
OpFamily tftext_split_ops();
OpFamily tftext_trim_ops();
OpFamily tftext_wordpiece_ops();
OpFamily topk_ops();

const OpRegistry& builtin_ops() {
  static const OpRegistry registry = [] {
    const std::array families = {
        array_basic_ops(),
        array_depth_ops(),
        array_gather_ops(),
        array_index_ops(),
        array_inplace_ops(),
        array_join_ops(),
        array_mirror_pad_ops(),
        array_pad_ops(),
        array_reverse_ops(),
        array_scatter_ops(),
        array_select_ops(),
        array_shape_ops(),
        array_slice_ops(),
        array_space_ops(),
        array_stitch_ops(),
        array_transpose_ops(),
        array_unique_ops(),
        audio_spectrum_ops(),
        audio_wav_ops(),
        control_ops(),
        control_functional_ops(),
        control_stack_ops(),
        control_tensor_array_ops(),
        control_tensor_list_ops(),
        control_tensor_list_stack_ops(),
        control_value_ops(),
        fake_quant_ops(),
        file_ops(),
        hash_bucket_ops(),
        image_boxes_ops(),
        image_color_ops(),
        image_crop_ops(),
        image_decode_ops(),
        image_encode_ops(),
        image_glimpse_ops(),
        image_resize_area_ops(),
        image_resize_bicubic_ops(),
        image_resize_bilinear_ops(),
        image_resize_nearest_ops(),
        image_resize_quantized_ops(),
        image_scale_translate_ops(),
        image_suppression_ops(),
        image_suppression_combined_ops(),
        image_transform_ops(),
        linalg_band_ops(),
        linalg_diag_ops(),
        linalg_einsum_ops(),
        linalg_matmul_ops(),
        linalg_tridiagonal_ops(),
        linalg_triangular_ops(),
        linalg_quantized_ops(),
        linalg_svd_ops(),
        linalg_square_root_ops(),
        linalg_solve_ops(),
        linalg_decompositions_ops(),
        linalg_cholesky_ops(),
        math_arithmetic_ops(),
        math_bincount_ops(),
        math_bins_ops(),
        math_bitpack_ops(),
        math_cast_ops(),
        math_compare_ops(),
        math_complex_ops(),
        math_division_ops(),
        math_fft_ops(),
        math_integrals_ops(),
        math_quantize_ops(),
        math_quantize_dequantize_ops(),
        math_requantize_ops(),
        math_special_ops(),
        math_sum_ops(),
        math_transcendental_ops(),
        math_unary_ops(),
        nn_activation_ops(),
        nn_fused_attention_ops(),
        nn_fused_batch_norm_ops(),
        nn_fused_conv_ops(),
        nn_fused_gelu_ops(),
        nn_fused_layer_norm_ops(),
        nn_fused_matmul_ops(),
        nn_array_matmul_ops(),
        nn_avg_pool_ops(),
        nn_batch_norm_ops(),
        nn_bias_ops(),
        nn_conv2d_ops(),
        nn_conv3d_ops(),
        nn_ctc_ops(),
        nn_ctc_beam_ops(),
        nn_dilation_ops(),
        nn_gru_ops(),
        nn_loss_ops(),
        nn_max_pool_ops(),
        nn_max_pool3d_ops(),
        nn_norm_ops(),
        nn_rnn_ops(),
        nn_softmax_ops(),
        optimizer_adagrad_ops(),
        optimizer_adam_ops(),
        optimizer_descent_ops(),
        optimizer_ftrl_ops(),
        random_ops(),
        random_binomial_ops(),
        random_box_ops(),
        random_candidates_ops(),
        random_crop_ops(),
        random_gamma_ops(),
        random_multinomial_ops(),
        random_poisson_ops(),
        random_shuffle_ops(),
        random_stateful_ops(),
        random_stateless_ops(),
        random_truncated_ops(),
        reduce_ops(),
        reduce_arg_ops(),
        reduce_bincount_ops(),
        reduce_counts_ops(),
        reduce_scan_ops(),
        reduce_segment_ops(),
        reduce_sparse_segment_ops(),
        sparse_ops(),
        sparse_sets_ops(),
        sparse_serialize_ops(),
        sparse_parse_ops(),
        sparse_parse_sequence_ops(),
        sparse_combine_ops(),
        sparse_cross_ops(),
        sparse_edit_distance_ops(),
        sparse_gradient_ops(),
        sparse_math_ops(),
        sparse_matmul_ops(),
        sparse_merge_ops(),
        sparse_ragged_ops(),
        sparse_ragged_cross_ops(),
        sparse_ragged_dense_ops(),
        sparse_ragged_variant_ops(),
        sparse_reduce_ops(),
        state_ref_ops(),
        state_ref_flow_ops(),
        state_resource_ops(),
        state_save_ops(),
        state_save_v1_ops(),
        state_scatter_ops(),
        state_scatter_nd_ops(),
        state_slice_ops(),
        summary_ops(),
        summary_media_ops(),
        table_ops(),
        table_dense_ops(),
        table_hash_ops(),
        table_init_ops(),
        table_mutable_ops(),
        text_ops(),
        text_base64_ops(),
        text_convert_ops(),
        text_embedding_ops(),
        text_format_ops(),
        text_join_ops(),
        text_number_ops(),
        text_regex_ops(),
        text_split_ops(),
        text_substr_ops(),
        text_unicode_ops(),
        tftext_bytes_ops(),
        tftext_normalize_ops(),
        tf_sentencepiece_ops(),
        tftext_sentencepiece_ops(),
        tftext_split_ops(),
        tftext_trim_ops(),
        tftext_wordpiece_ops(),
        topk_ops(),
    };
    return OpRegistry(families);
  }();
  return registry;
}

}  // namespace hub
